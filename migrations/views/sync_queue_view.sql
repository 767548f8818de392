-- The rows with the five statuses that people see, and the time when each row is due.
DROP VIEW IF EXISTS sync_queue_view;
CREATE VIEW sync_queue_view AS
SELECT q.id, e.id AS event_id, e.source AS event_source, e.type AS event_type, e.occurred_at,
       e.traceparent, q.portal, r.sync_type, r.external_id, q.record_id, q.event_no, q.output, q.operation,
       CASE WHEN q.status IN ('pending', 'retry') AND r.lease_token IS NOT NULL
                 AND q.created_at <= r.leased_at THEN 'processing'
            ELSE q.status END AS status,
       -- The stored status, which the indexes use, and whether the record is leased for this row.
       q.status AS kept, r.lease_token IS NOT NULL AND q.created_at <= r.leased_at AS taken, q.written,
       q.priority, q.retry_count, q.created_at,
       CASE WHEN q.status IN ('pending', 'retry')
            THEN COALESCE(r.due_at, r.leased_at, q.created_at) END AS scheduled_at,
       q.processed_at, q.call_id, q.error_code, q.error_property, q.error_message, q.error_hint,
       q.error_correlation_id, q.error_http_status, q.warnings, q.discarded_at,
       q.retried_at, r.waiting_reason, r.lease_token IS NOT NULL AS leased, r.erased_at IS NOT NULL AS erased
FROM sync_queue q
JOIN crm_record r ON r.id = q.record_id
JOIN event e ON e.no = q.event_no;
