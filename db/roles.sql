-- The roles of chatkit-session. Run once for a server, with psql, as a superuser
-- or a role that may create roles; again, it changes nothing but the password:
--
--   DATABASE_PASSWORD=… psql -d postgres -f db/roles.sql   (psql 15 or newer)
--
--   chatkit_service  reads and writes sessions, and nothing else
--   chatkit_reader   reads the rows of the user in request.jwt.claims, without tokens
--   chatkit          the login of the service, a chatkit_service
--
-- The schema's owner is another role: the one that migrates.
\set ON_ERROR_STOP on
\getenv chatkit_password DATABASE_PASSWORD

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chatkit_service') THEN
        CREATE ROLE chatkit_service NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chatkit_reader') THEN
        CREATE ROLE chatkit_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chatkit') THEN
        CREATE ROLE chatkit LOGIN;
    END IF;
END
$$;
GRANT chatkit_service TO chatkit;

-- Supabase's signed-in users read their own sessions.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        GRANT chatkit_reader TO authenticated;
    END IF;
END
$$;

\if :{?chatkit_password}
    ALTER ROLE chatkit PASSWORD :'chatkit_password';
\else
    \warn 'DATABASE_PASSWORD is not set: the login chatkit has the password that it had, or none'
\endif
