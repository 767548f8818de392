-- Returns the first of `count_` stamps, which are a microsecond apart. All are newer than every
-- stamp that any replica has drawn before, even if the server's clock was set back. `ahead` is
-- added to the clock.
CREATE OR REPLACE FUNCTION draw_stamps(count_ int, ahead interval) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    first_stamp bigint;
BEGIN
    -- The subtransaction is undone at once, which releases its lock. So a draw waits for other
    -- draws, but never for a commit. A sequence keeps its value after a rollback.
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended('hubferry stamps', 0));
        SELECT GREATEST(last_value + 1, extract(epoch FROM clock_timestamp() + ahead) * 1000000)
        INTO first_stamp FROM event_stamp;
        PERFORM setval('event_stamp', first_stamp + count_ - 1);
        RAISE EXCEPTION 'drawn' USING ERRCODE = 'HF000';
    EXCEPTION WHEN SQLSTATE 'HF000' THEN
        NULL;
    END;
    RETURN timestamptz 'epoch' + first_stamp * interval '1 microsecond';
END $$;
