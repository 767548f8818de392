-- The first of `count_` stamps, a microsecond apart. All are newer than any drawn before, by whatever
-- replica, even if the server's clock has been set back meanwhile. `ahead` is added to the clock.
CREATE OR REPLACE FUNCTION draw_stamps(count_ int, ahead interval) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    first_stamp bigint;
BEGIN
    -- The subtransaction is undone at once, which gives its lock back: a draw waits for other draws,
    -- and never for a commit. What a sequence was set to stays.
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
