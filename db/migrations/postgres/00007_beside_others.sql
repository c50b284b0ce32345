-- What the service has in a database is its own, whatever else is there: nobody
-- else has rights to it, and nothing of it looks into other schemas. Migrations
-- run with a search_path of the one schema that they are for.

-- +goose Up
ALTER TABLE chatkit_session_migrations ENABLE ROW LEVEL SECURITY;
CREATE POLICY chatkit_session_migrations_service ON chatkit_session_migrations FOR SELECT TO chatkit_service USING (true);
GRANT SELECT ON chatkit_session_migrations TO chatkit_service; -- a replica sees whether its schema is current
COMMENT ON TABLE chatkit_session_migrations IS 'Which migrations of chatkit-session were applied here.';

-- In other schemas than public nobody but the owner has the right to begin with.
-- +goose StatementBegin
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['chatkit_service', 'chatkit_reader'] LOOP
        CONTINUE WHEN has_schema_privilege(role, current_schema(), 'USAGE');
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
        EXCEPTION
            WHEN insufficient_privilege THEN NULL; -- told below
        END;
        IF NOT has_schema_privilege(role, current_schema(), 'USAGE') THEN
            RAISE EXCEPTION '% may not use the schema %, and % may not grant it', role, current_schema(), current_user
                USING HINT = format('Run GRANT USAGE ON SCHEMA %I TO chatkit_service, chatkit_reader as its owner, then migrate again.', current_schema());
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Functions find what they name in their own schema, whoever calls them and
-- whatever schemas that role may create.
-- +goose StatementBegin
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace
        AND proname IN ('chatkit_sessions_set_updated_at', 'chatkit_sessions_block_sign_in', 'cleanup_expired_chatkit_sessions') LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Default privileges give new things to others: Supabase's, to all of its API
-- roles.
-- +goose StatementBegin
DO $$
DECLARE
    owner_id oid := (SELECT relowner FROM pg_class WHERE oid = 'chatkit_sessions'::regclass);
    others   text := 'PUBLIC';
    thing    text;
    name     text;
    ours     boolean;
BEGIN
    FOR name IN SELECT DISTINCT quote_ident(r.rolname)
        FROM pg_default_acl d, aclexplode(d.defaclacl) a JOIN pg_roles r ON r.oid = a.grantee
        WHERE d.defaclrole = owner_id AND d.defaclnamespace IN (0, quote_ident(current_schema())::regnamespace)
            AND a.grantee <> owner_id AND r.rolname NOT IN ('chatkit_service', 'chatkit_reader') LOOP
        others := others || ', ' || name;
    END LOOP;
    FOR thing IN
        SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass)
        FROM pg_class WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relowner = owner_id
            AND relname IN ('chatkit_sessions', 'chatkit_activity', 'chatkit_usage', 'chatkit_sign_ins', 'chatkit_session_migrations', 'chatkit_session_migrations_id_seq')
        UNION ALL
        SELECT format('FUNCTION %s', oid::regprocedure)
        FROM pg_proc WHERE pronamespace = quote_ident(current_schema())::regnamespace AND proowner = owner_id
            AND proname IN ('chatkit_sessions_set_updated_at', 'chatkit_sessions_block_sign_in', 'cleanup_expired_chatkit_sessions')
        UNION ALL
        SELECT format('TYPE %s', atttypid::regtype)
        FROM pg_attribute WHERE attrelid = 'chatkit_sessions'::regclass AND attname = 'status'
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', thing, others);
    END LOOP;
    -- goose_db_version stays for replicas of earlier versions. It was taken over
    -- where the first versions are noted at one time, and may be another
    -- program's where it has others.
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('goose_db_version') AND relkind = 'r' AND relowner = owner_id)
        AND EXISTS (SELECT FROM chatkit_session_migrations a JOIN chatkit_session_migrations b USING (tstamp) WHERE a.version_id = 0 AND b.version_id = 1) THEN
        EXECUTE 'SELECT max(version_id) <= 5 FROM goose_db_version' INTO ours;
        IF ours THEN
            EXECUTE format('REVOKE ALL ON TABLE goose_db_version FROM %s', others);
            IF pg_get_serial_sequence('goose_db_version', 'id') IS NOT NULL THEN
                EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %s', pg_get_serial_sequence('goose_db_version', 'id'), others);
            END IF;
        END IF;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP POLICY chatkit_session_migrations_service ON chatkit_session_migrations;
ALTER TABLE chatkit_session_migrations DISABLE ROW LEVEL SECURITY;
