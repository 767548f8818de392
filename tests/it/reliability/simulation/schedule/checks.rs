//! The way to the end, and what must hold on it.

use chrono::{DateTime, TimeDelta, Utc};
use hubferry::worker::Step;
use hubferry::worker::janitor::{self, Round};

use super::{At, Fate, Lane};

impl Lane {
    /// Steps and lets time pass until nothing is outstanding.
    pub(super) async fn rest(&mut self) {
        for _ in 0..200 {
            let mut turns = 0;
            loop {
                let Round { moved, stranded } =
                    janitor::tick(&self.world.queue).await.expect("a round");
                assert_eq!(stranded, 0, "open rows that nobody would have taken");
                let worker = self.workers[0].clone();
                let mut step = tokio::spawn(async move { worker.step().await.expect("a step") });
                let step = loop {
                    tokio::select! {
                        pending = self.arrivals.recv() => {
                            let pending = pending.expect("a wire");
                            let reply = pending.apply().await;
                            pending.decide(Fate::Reply(reply));
                        }
                        done = &mut step => break done.expect("a step does not panic"),
                    }
                };
                if step == Step::Idle && !moved {
                    break;
                }
                turns += 1;
                assert!(turns < 500, "the queue does not come to rest");
            }
            if self.world.queue.outstanding().await.expect("a count") == 0 {
                return;
            }
            self.until_something_is_due().await;
        }
        let left: Vec<String> = sqlx::query_scalar(
            "SELECT to_jsonb(r)::text || ' ' || COALESCE((
                 SELECT jsonb_agg(to_jsonb(q))::text FROM sync_queue q
                 WHERE q.record_id = r.id AND q.status IN ('pending', 'retry')), 'no row')
             FROM crm_record r WHERE r.due_at IS NOT NULL",
        )
        .fetch_all(self.world.queue.pool())
        .await
        .expect("what is left");
        panic!("after days something is still outstanding:\n{}", left.join("\n"));
    }

    /// Lets as much time pass as the next thing needs: a backoff, a lease, a gate, a wait.
    pub(super) async fn until_something_is_due(&mut self) {
        let now = self.world.queue.now().await.expect("the time");
        let next: Option<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT min(at) FROM (
                 SELECT due_at FROM crm_record WHERE deferred
                 UNION ALL SELECT lease_until FROM crm_record WHERE lease_token IS NOT NULL
                 UNION ALL SELECT until FROM gate) AS n (at) WHERE at > $1",
        )
        .bind(now)
        .fetch_one(self.world.queue.pool())
        .await
        .expect("a time");
        let wait = next.map_or(TimeDelta::minutes(5), |next| next - now);
        self.pass(wait + TimeDelta::milliseconds(1)).await;
    }

    /// What must hold at any moment.
    pub(super) async fn holds(&mut self) {
        let now = self.world.queue.now().await.expect("the time");
        for (n, lease) in self.leases.iter().enumerate() {
            let (At::Call(..), Some((token, records, until))) = (&self.at[n], lease) else {
                continue;
            };
            let held: i64 =
                sqlx::query_scalar("SELECT count(*) FROM crm_record WHERE lease_token = $1")
                    .bind(token)
                    .fetch_one(self.world.queue.pool())
                    .await
                    .expect("a count");
            // Until it runs out nobody but its holder ends a lease, and a merge of what it holds.
            assert!(
                held == *records || *until <= now || self.merged,
                "worker {n} holds {held} of {records}"
            );
        }
        let wrong: Vec<String> = sqlx::query_scalar(
            "SELECT 'a row is open, and its record neither due nor leased: ' || q.id
             FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
             WHERE q.status IN ('pending', 'retry') AND r.due_at IS NULL AND r.lease_token IS NULL
             UNION ALL
             SELECT 'due and leased at once: ' || id FROM crm_record
             WHERE due_at IS NOT NULL AND lease_token IS NOT NULL
             UNION ALL
             SELECT 'the totals are not the rows: ' || t.status || ' ' || t.rows || ' against ' || c.rows
             FROM (SELECT status, sum(rows) AS rows FROM tally GROUP BY 1) t
             FULL JOIN (SELECT CASE WHEN discarded_at IS NULL THEN status ELSE 'discarded' END AS status,
                               count(*) AS rows FROM sync_queue GROUP BY 1) c USING (status)
             WHERE COALESCE(t.rows, 0) <> COALESCE(c.rows, 0)",
        )
        .fetch_all(self.world.queue.pool())
        .await
        .expect("a look");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // One record each, whatever happened.
        for plural in ["contacts", "companies", "deals"] {
            let mut keys: Vec<String> = self
                .world
                .sandbox
                .objects(plural)
                .iter()
                .filter_map(|o| o.properties.get("hubferry_id").cloned())
                .collect();
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "a record stands twice in HubSpot");
        }
    }
}
