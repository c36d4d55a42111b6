//! `fourfold init`: a small model to begin with.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::failure::Failure;

const MODEL: &str = "// A model: each entity is served by REST, GraphQL, gRPC and WebSocket at once.
package shop.v1

/// Who calls, from the token.
caller {
  id    String?  @claim(\"sub\")
  roles String[] @claim(\"roles\")
}

/// What is for sale.
entity Product {
  id    Uuid          @key @default(uuid7())
  sku   String        @unique @match(\"^[A-Z0-9-]{4,32}$\")
  title String        @length(1..200)
  price Decimal(12,2) @min(0)
  stock Int           @min(0) @default(0)
  @@index(title)
  @@allow(read, true)
  @@allow(create, update, delete, \"admin\" in caller.roles)
}
";
const SETTINGS: &str = "# `fourfold config` lists every setting.\n[server]\nlisten = \"127.0.0.1:8080\"\n";

pub fn run(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::failed)?;
    write_new(&path.join("shop.fourfold"), MODEL)?;
    write_new(&path.join("fourfold.toml"), SETTINGS)?;
    write_new(&path.join(".gitignore"), ".fourfold/\n")?;
    say!("next: fourfold dev {}", path.display());
    Ok(())
}

/// Never over something that is there.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    match fs::File::create_new(file).and_then(|mut out| std::io::Write::write_all(&mut out, text.as_bytes())) {
        Ok(()) => {
            say!("wrote {}", file.display());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::Failed(format!("`{}` exists already; it is left as it is", file.display())))
        }
        Err(error) => Err(Failure::Failed(format!("cannot write `{}`: {error}", file.display()))),
    }
}
