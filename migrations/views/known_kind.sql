-- The object kinds that have records. The query reads one index entry for each kind.
DROP VIEW IF EXISTS known_kind;
CREATE VIEW known_kind AS
WITH RECURSIVE kind (portal, sync_type) AS (
    SELECT p.portal, (SELECT min(r.sync_type) FROM crm_record r WHERE r.portal = p.portal)
    FROM crm_portal p
    UNION ALL
    SELECT k.portal, (SELECT min(r.sync_type) FROM crm_record r
                      WHERE r.portal = k.portal AND r.sync_type > k.sync_type)
    FROM kind k WHERE k.sync_type IS NOT NULL)
SELECT portal, sync_type FROM kind WHERE sync_type IS NOT NULL;
