-- Returns the first row that was accepted at this time or later. Rows are accepted in the order of
-- their ids, except by transactions that overlap. So a binary search finds the row without an index
-- on the time.
CREATE OR REPLACE FUNCTION first_row_since(wanted timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint := 0;
    high bigint;
    middle record;
BEGIN
    SELECT COALESCE(max(id), 0) + 1 INTO high FROM sync_queue;
    WHILE low < high LOOP
        SELECT id, created_at INTO middle FROM sync_queue
        WHERE id >= low + (high - low) / 2 ORDER BY id LIMIT 1;
        IF NOT FOUND OR middle.created_at >= wanted THEN
            high := low + (high - low) / 2;
        ELSE
            low := middle.id + 1;
        END IF;
    END LOOP;
    RETURN low;
END $$;
