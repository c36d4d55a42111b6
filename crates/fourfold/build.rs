//! Links the binary.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Addresses that are set when the program starts, packed: half a megabyte less to read. A linker that does not know this says so and goes on.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
