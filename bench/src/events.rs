//! What the benchmarks of events share: their model, subscribers that count what they are told, who publishes and who writes.

pub mod crowd;
pub mod mark;
pub mod publisher;
pub mod socket;
pub mod writer;

use crate::server::{self, Place};
use crate::{Failure, required};

const MODEL: &str = r#"package fan.v1

caller { id String? @claim("sub") }

entity Note {
  id       Int    @key
  customer Int
  text     String
  @@allow(read, create, caller.id != null)
}

channel board(name: String) {
  @join(name == "public")
  @publish(caller.id != null)
}
"#;

/// The channel that everybody may join.
pub const BOARD: &str = "board:public";
/// All rows, as a channel.
pub const NOTES: &str = "notes?fields=text";

/// An empty folder with the model, and the generator on its own core.
pub fn place(arguments: &[&str]) -> Result<Place, Failure> {
    // Settings of the server are read from where its model is.
    let out = std::path::absolute(required(arguments, "--out")?)?;
    let place = Place::new(required(arguments, "--binary")?, out.join("model"), out);
    let _ = std::fs::remove_dir_all(&place.out);
    std::fs::create_dir_all(&place.model)?;
    std::fs::write(place.model.join("fan.fourfold"), MODEL)?;
    server::pin_self();
    Ok(place)
}

/// Prints what was measured and saves it as `table.md`.
pub fn save(place: &Place, text: &str) -> Result<(), Failure> {
    println!("{text}");
    let file = place.out.join("table.md");
    std::fs::write(&file, text)?;
    println!("saved to {}", file.display());
    Ok(())
}

/// The value below which so many in a hundred lie.
pub fn percentile<T: Copy + Ord>(values: &mut [T], percent: usize) -> Option<T> {
    values.sort_unstable();
    let at = (values.len() * percent / 100).min(values.len().checked_sub(1)?);
    values.get(at).copied()
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians_are_of_the_values() {
        let mut values: Vec<u32> = (0..1000).rev().collect();
        assert_eq!(
            (percentile(&mut values, 50), percentile(&mut values, 99), percentile(&mut values, 100)),
            (Some(500), Some(990), Some(999))
        );
        assert_eq!(percentile::<u32>(&mut [], 99), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
