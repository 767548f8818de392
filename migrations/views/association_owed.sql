-- The slots that owe HubSpot a call: an old pair to remove, or a pair to create whose two ends
-- exist.
DROP VIEW IF EXISTS association_owed;
CREATE VIEW association_owed AS
SELECT a.record_id, a.slot, a.entry, a.target_id, a.made_target_id, a.made_from, a.made_to,
       r.portal, r.sync_type, r.hubspot_id AS from_id,
       t.sync_type AS target_type, COALESCE(t.hubspot_id, s.hubspot_id) AS to_id,
       m.sync_type AS made_target_type,
       a.made_to IS NOT NULL AND a.made_target_id IS DISTINCT FROM a.target_id AS drops,
       NOT a.sure AND a.made_from IS NOT DISTINCT FROM r.hubspot_id
           AND a.made_to IS NOT DISTINCT FROM COALESCE(t.hubspot_id, s.hubspot_id) AS again,
       COALESCE(t.doubt, 0) <> 0 OR COALESCE(s.doubt, 0) <> 0 AS settling,
       r.failures
FROM crm_association a
JOIN crm_record r ON r.id = a.record_id
LEFT JOIN crm_record t ON t.id = a.target_id
LEFT JOIN crm_record s ON s.id = t.alias_of
LEFT JOIN crm_record m ON m.id = a.made_target_id
WHERE NOT a.refused
  AND ((a.made_to IS NOT NULL AND a.made_target_id IS DISTINCT FROM a.target_id)
       OR (r.hubspot_id IS NOT NULL AND COALESCE(t.hubspot_id, s.hubspot_id) IS NOT NULL
           AND (NOT a.sure OR a.made_from IS DISTINCT FROM r.hubspot_id
                OR a.made_to IS DISTINCT FROM COALESCE(t.hubspot_id, s.hubspot_id))));
