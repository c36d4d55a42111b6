//! Side records: compared under a lock before the first step, put in the same transaction after the last.

use fourfold_store::{CommitError, Expect, Put, Side, encode_outcome};

use super::{Committing, Done, Steps, Stop};

/// The first number of side records' locks; the second is a hash of the record's place.
const LOCKS: i32 = 0x666f_7572;

impl Committing<'_> {
    /// The version of each record; 0 where there is none, or one past its end.
    ///
    /// The lock holds back whoever comes with the same record, though it is not there yet.
    pub(super) async fn expect(&self, side: &[Side]) -> Done<Vec<u64>> {
        let mut versions = Vec::with_capacity(side.len());
        for wanted in side {
            let lock = self.client.prepared("SELECT pg_advisory_xact_lock($1, $2)").await?;
            let text = "SELECT version FROM fourfold_side WHERE space = $1 AND key = $2 AND (keep_until IS NULL OR keep_until > $3)";
            let find = self.client.prepared(text).await?;
            let (space, hash) = (i16::from(wanted.space as u8), hash(wanted));
            let (locked, found) = futures_util::future::join(
                self.client.query(&lock, &[&LOCKS, &hash]),
                self.client.query_opt(&find, &[&space, &wanted.key, &self.moment.now]),
            )
            .await;
            locked?;
            let version = found?.map(|row| row.try_get::<_, i64>(0)).transpose()?.map_or(0, i64::unsigned_abs);
            let as_expected = match wanted.expect {
                Expect::Any => true,
                Expect::Absent => version == 0,
                Expect::Version(expected) => version == expected && version > 0,
            };
            if !as_expected {
                return Err(Stop::Refused(CommitError::Conflict(wanted.space)));
            }
            versions.push(version);
        }
        Ok(versions)
    }

    pub(super) async fn put_sides(&self, side: &[Side], versions: &[u64], steps: &Steps) -> Done<()> {
        for (side, version) in side.iter().zip(versions) {
            let bytes = match &side.put {
                Put::Nothing => continue,
                Put::Bytes(bytes) => bytes.clone(),
                Put::Outcome(own) => encode_outcome(own, self.model(), steps),
            };
            let text = "INSERT INTO fourfold_side (space, key, version, bytes, keep_until) VALUES ($1, $2, $3, $4, $5) \
                        ON CONFLICT (space, key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes, keep_until = excluded.keep_until";
            let statement = self.client.prepared(text).await?;
            let (space, version) = (i16::from(side.space as u8), i64::try_from(version + 1).unwrap_or(i64::MAX));
            self.client.execute(&statement, &[&space, &side.key, &version, &&bytes[..], &side.keep_until]).await?;
        }
        Ok(())
    }
}

/// FNV-1a of a record's place, the same on every node.
fn hash(side: &Side) -> i32 {
    let bytes = std::iter::once(side.space as u8).chain(side.key.iter().copied());
    bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).cast_signed()
}
