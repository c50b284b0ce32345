-- +goose Up
CREATE TABLE chatkit_lease (
    one     boolean     NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    lease   interval    NOT NULL,
    since   timestamptz NOT NULL,
    held_at timestamptz NOT NULL
);

COMMENT ON TABLE chatkit_lease IS 'For how long replicas may answer checks of tokens from memory; one row at most.';
COMMENT ON COLUMN chatkit_lease.one IS 'Keeps the table to one row.';
COMMENT ON COLUMN chatkit_lease.lease IS 'The lease in force.';
COMMENT ON COLUMN chatkit_lease.since IS 'When it came into force.';
COMMENT ON COLUMN chatkit_lease.held_at IS 'When a replica last said that it goes by it.';

ALTER TABLE chatkit_lease ENABLE ROW LEVEL SECURITY;
CREATE POLICY chatkit_lease_service ON chatkit_lease TO chatkit_service USING (true) WITH CHECK (true);

-- +goose StatementBegin
DO $$
DECLARE
    other text;
BEGIN
    FOR other IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'chatkit_lease'::regclass AND a.grantee <> c.relowner LOOP
        EXECUTE format('REVOKE ALL ON chatkit_lease FROM %s', other);
    END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE ON chatkit_lease TO chatkit_service;

-- +goose Down
DROP TABLE chatkit_lease;
