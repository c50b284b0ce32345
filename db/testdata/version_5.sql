-- A database as the migrations up to version 5 left it, in the words of pg_dump:
-- goose_db_version is the version table, and functions look where their callers do.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE TYPE public.session_status AS ENUM (
    'active',
    'expired',
    'revoked'
);

COMMENT ON TYPE public.session_status IS 'Where a session is in its life; only an active one can be continued.';

CREATE FUNCTION public.chatkit_sessions_set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public'
    AS $$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION public.chatkit_sessions_set_updated_at() IS 'Keeps updated_at, yielding to a value that the statement set.';

CREATE FUNCTION public.cleanup_expired_chatkit_sessions(p_now timestamp with time zone DEFAULT now(), p_limit integer DEFAULT 1000) RETURNS integer
    LANGUAGE sql
    SET search_path TO '$user', 'public'
    AS $$
    WITH ended AS (
        UPDATE chatkit_sessions SET
            status = 'expired', ended_at = p_now, end_reason = 'expired',
            token_sealed = NULL, previous_token_hash = NULL, previous_token_until = NULL,
            offer_hash = NULL, offer_until = NULL, offer_refused = 0
        WHERE id = ANY (ARRAY(
            SELECT id FROM chatkit_sessions
            WHERE status = 'active' AND expires_at <= p_now
            ORDER BY expires_at
            LIMIT p_limit
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING clerk_user_id, id
    ), noted AS (
        INSERT INTO chatkit_activity (clerk_user_id, session_id, type, at)
        SELECT clerk_user_id, id, 'expired', p_now FROM ended
    )
    SELECT count(*)::integer FROM ended
$$;

COMMENT ON FUNCTION public.cleanup_expired_chatkit_sessions(p_now timestamp with time zone, p_limit integer) IS 'Ends, as expired at p_now, at most p_limit active sessions whose expiry is at or before p_now, and returns how many. One batch: callers repeat it, each time in a transaction of its own.';

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.chatkit_activity (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    clerk_user_id text NOT NULL,
    session_id uuid NOT NULL,
    type text NOT NULL,
    at timestamp with time zone NOT NULL,
    address text,
    client_browser text DEFAULT ''::text NOT NULL,
    client_os text DEFAULT ''::text NOT NULL,
    client_kind text DEFAULT ''::text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT chatkit_activity_detail_check CHECK ((jsonb_typeof(detail) = 'object'::text)),
    CONSTRAINT chatkit_activity_type_check CHECK ((type = ANY (ARRAY['created'::text, 'refreshed'::text, 'revoked'::text, 'expired'::text, 'transferred'::text, 'limit'::text, 'anomaly'::text])))
);

COMMENT ON TABLE public.chatkit_activity IS 'What happened to sessions: a timeline for each user. It outlives the sessions.';

COMMENT ON COLUMN public.chatkit_activity.id IS 'Identifies the record.';

COMMENT ON COLUMN public.chatkit_activity.clerk_user_id IS 'The user: "sub" of the Clerk session token.';

COMMENT ON COLUMN public.chatkit_activity.session_id IS 'The session that it happened to; it may have been purged.';

COMMENT ON COLUMN public.chatkit_activity.type IS 'What happened.';

COMMENT ON COLUMN public.chatkit_activity.at IS 'When it happened.';

COMMENT ON COLUMN public.chatkit_activity.address IS 'The IP address that it was done from; null when unknown, or when nobody did it.';

COMMENT ON COLUMN public.chatkit_activity.client_browser IS 'The browser that it was done from; empty when unknown.';

COMMENT ON COLUMN public.chatkit_activity.client_os IS 'The system that it was done from; empty when unknown.';

COMMENT ON COLUMN public.chatkit_activity.client_kind IS 'desktop, mobile, tablet or bot; empty when unknown.';

COMMENT ON COLUMN public.chatkit_activity.detail IS 'JSON object of strings: more about it, such as by whom and why.';

CREATE TABLE public.chatkit_sessions (
    id uuid NOT NULL,
    clerk_user_id text NOT NULL,
    device_id text NOT NULL,
    device_generated boolean DEFAULT false NOT NULL,
    workflow_id text NOT NULL,
    sign_in_id text DEFAULT ''::text NOT NULL,
    status public.session_status DEFAULT 'active'::public.session_status NOT NULL,
    token_hash bytea NOT NULL,
    token_sealed bytea,
    previous_token_hash bytea,
    previous_token_until timestamp with time zone,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    last_activity_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    end_reason text,
    blocks_sign_in boolean DEFAULT false NOT NULL,
    remembered boolean DEFAULT false NOT NULL,
    opens bigint DEFAULT 0 NOT NULL,
    checks bigint DEFAULT 0 NOT NULL,
    address text,
    client_browser text DEFAULT ''::text NOT NULL,
    client_os text DEFAULT ''::text NOT NULL,
    client_kind text DEFAULT ''::text NOT NULL,
    superseded_seen boolean DEFAULT false NOT NULL,
    offer_hash bytea,
    offer_until timestamp with time zone,
    offer_refused integer DEFAULT 0 NOT NULL,
    CONSTRAINT chatkit_sessions_blocks_ended CHECK (((NOT blocks_sign_in) OR (status <> 'active'::public.session_status))),
    CONSTRAINT chatkit_sessions_ended CHECK ((((status = 'active'::public.session_status) = (ended_at IS NULL)) AND ((ended_at IS NULL) = (end_reason IS NULL)))),
    CONSTRAINT chatkit_sessions_ended_unsealed CHECK (((status = 'active'::public.session_status) OR ((token_sealed IS NULL) AND (previous_token_hash IS NULL)))),
    CONSTRAINT chatkit_sessions_metadata_check CHECK ((jsonb_typeof(metadata) = 'object'::text)),
    CONSTRAINT chatkit_sessions_previous_token_hash_check CHECK ((octet_length(previous_token_hash) = 32)),
    CONSTRAINT chatkit_sessions_token_hash_check CHECK ((octet_length(token_hash) = 32))
)
WITH (fillfactor='80');

COMMENT ON TABLE public.chatkit_sessions IS 'ChatKit sessions: one user''s signed-in use on one device for one workflow.';

COMMENT ON COLUMN public.chatkit_sessions.id IS 'Identifies the session for good; not a secret.';

COMMENT ON COLUMN public.chatkit_sessions.clerk_user_id IS 'The user: "sub" of the Clerk session token.';

COMMENT ON COLUMN public.chatkit_sessions.device_id IS 'Where the session lives, named by the client or generated.';

COMMENT ON COLUMN public.chatkit_sessions.device_generated IS 'Whether the service made the device''s name.';

COMMENT ON COLUMN public.chatkit_sessions.workflow_id IS 'The ChatKit workflow or agent that the session is for.';

COMMENT ON COLUMN public.chatkit_sessions.sign_in_id IS 'The sign-in that last opened the session: "sid" of the Clerk session token; empty when unknown.';

COMMENT ON COLUMN public.chatkit_sessions.status IS 'active, expired (its time was up) or revoked (ended before its time).';

COMMENT ON COLUMN public.chatkit_sessions.token_hash IS 'SHA-256 of the token''s text.';

COMMENT ON COLUMN public.chatkit_sessions.token_sealed IS 'The token under AES-256-GCM, to show it to its owner again; null once ended, or when it cannot be shown: then the next open rotates it.';

COMMENT ON COLUMN public.chatkit_sessions.previous_token_hash IS 'SHA-256 of the token before the last refresh.';

COMMENT ON COLUMN public.chatkit_sessions.previous_token_until IS 'Until when the token before the last refresh stays good.';

COMMENT ON COLUMN public.chatkit_sessions.metadata IS 'JSON object that the client attached.';

COMMENT ON COLUMN public.chatkit_sessions.expires_at IS 'When the session''s time is up.';

COMMENT ON COLUMN public.chatkit_sessions.last_activity_at IS 'When the session was last seen in use.';

COMMENT ON COLUMN public.chatkit_sessions.created_at IS 'When the session was created.';

COMMENT ON COLUMN public.chatkit_sessions.updated_at IS 'When the row last changed; set by a trigger unless the statement sets it.';

COMMENT ON COLUMN public.chatkit_sessions.ended_at IS 'When the session ended; null while active.';

COMMENT ON COLUMN public.chatkit_sessions.end_reason IS 'Why the session ended; null while active.';

COMMENT ON COLUMN public.chatkit_sessions.blocks_sign_in IS 'Whether the session was ended against the sign-in that last opened it, which creates no session any more.';

COMMENT ON COLUMN public.chatkit_sessions.remembered IS 'Whether the session lives by the terms of remembered ones.';

COMMENT ON COLUMN public.chatkit_sessions.opens IS 'How often the session was opened.';

COMMENT ON COLUMN public.chatkit_sessions.checks IS 'How often the session''s token was checked and found good.';

COMMENT ON COLUMN public.chatkit_sessions.address IS 'The IP address that the session was last used from; null when unknown.';

COMMENT ON COLUMN public.chatkit_sessions.client_browser IS 'The browser that the session was last used from, as it named itself; empty when unknown.';

COMMENT ON COLUMN public.chatkit_sessions.client_os IS 'The system that the session was last used from, as it named itself; empty when unknown.';

COMMENT ON COLUMN public.chatkit_sessions.client_kind IS 'desktop, mobile, tablet or bot; empty when unknown.';

COMMENT ON COLUMN public.chatkit_sessions.superseded_seen IS 'Whether the use of the superseded token after its grace was reported.';

COMMENT ON COLUMN public.chatkit_sessions.offer_hash IS 'SHA-256 of the code that moves the session to another device.';

COMMENT ON COLUMN public.chatkit_sessions.offer_until IS 'Until when that code is good.';

COMMENT ON COLUMN public.chatkit_sessions.offer_refused IS 'How often somebody else tried that code.';

CREATE TABLE public.chatkit_usage (
    day date NOT NULL,
    opens bigint NOT NULL,
    checks bigint NOT NULL
);

COMMENT ON TABLE public.chatkit_usage IS 'How often sessions were used, by day of UTC.';

COMMENT ON COLUMN public.chatkit_usage.day IS 'The day.';

COMMENT ON COLUMN public.chatkit_usage.opens IS 'How often sessions were opened.';

COMMENT ON COLUMN public.chatkit_usage.checks IS 'How often tokens were checked and found good.';

CREATE TABLE public.goose_db_version (
    id integer NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.goose_db_version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.goose_db_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

COPY public.chatkit_activity (id, clerk_user_id, session_id, type, at, address, client_browser, client_os, client_kind, detail) FROM stdin;
\.

COPY public.chatkit_sessions (id, clerk_user_id, device_id, device_generated, workflow_id, sign_in_id, status, token_hash, token_sealed, previous_token_hash, previous_token_until, metadata, expires_at, last_activity_at, created_at, updated_at, ended_at, end_reason, blocks_sign_in, remembered, opens, checks, address, client_browser, client_os, client_kind, superseded_seen, offer_hash, offer_until, offer_refused) FROM stdin;
\.

COPY public.chatkit_usage (day, opens, checks) FROM stdin;
\.

COPY public.goose_db_version (id, version_id, is_applied, tstamp) FROM stdin;
1	0	t	2026-11-25 04:28:22.614006
2	1	t	2026-11-25 04:28:22.635557
3	2	t	2026-11-25 04:28:22.666902
4	3	t	2026-11-25 04:28:22.670884
5	4	t	2026-11-25 04:28:22.689836
6	5	t	2026-11-25 04:28:22.693886
\.

SELECT pg_catalog.setval('public.goose_db_version_id_seq', 6, true);

ALTER TABLE ONLY public.chatkit_activity
    ADD CONSTRAINT chatkit_activity_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.chatkit_sessions
    ADD CONSTRAINT chatkit_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.chatkit_usage
    ADD CONSTRAINT chatkit_usage_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.goose_db_version
    ADD CONSTRAINT goose_db_version_pkey PRIMARY KEY (id);

CREATE INDEX idx_chatkit_activity_at ON public.chatkit_activity USING btree (at);

CREATE INDEX idx_chatkit_activity_session ON public.chatkit_activity USING btree (session_id, at, id);

CREATE INDEX idx_chatkit_activity_user ON public.chatkit_activity USING btree (clerk_user_id, at, id);

CREATE UNIQUE INDEX idx_chatkit_sessions_active_device ON public.chatkit_sessions USING btree (clerk_user_id, device_id, workflow_id) WHERE (status = 'active'::public.session_status);

CREATE UNIQUE INDEX idx_chatkit_sessions_active_generated ON public.chatkit_sessions USING btree (clerk_user_id, workflow_id) WHERE ((status = 'active'::public.session_status) AND device_generated);

CREATE INDEX idx_chatkit_sessions_blocked ON public.chatkit_sessions USING btree (clerk_user_id, sign_in_id) WHERE blocks_sign_in;

CREATE INDEX idx_chatkit_sessions_device ON public.chatkit_sessions USING btree (device_id);

CREATE INDEX idx_chatkit_sessions_expires_at ON public.chatkit_sessions USING btree (expires_at) WHERE (status = 'active'::public.session_status);

CREATE UNIQUE INDEX idx_chatkit_sessions_offer ON public.chatkit_sessions USING btree (offer_hash) WHERE (offer_hash IS NOT NULL);

CREATE INDEX idx_chatkit_sessions_previous_token ON public.chatkit_sessions USING btree (previous_token_hash) WHERE (previous_token_hash IS NOT NULL);

CREATE INDEX idx_chatkit_sessions_to_purge ON public.chatkit_sessions USING btree (ended_at) WHERE ((ended_at IS NOT NULL) AND (NOT blocks_sign_in));

CREATE UNIQUE INDEX idx_chatkit_sessions_token ON public.chatkit_sessions USING btree (token_hash);

CREATE INDEX idx_chatkit_sessions_user_created ON public.chatkit_sessions USING btree (clerk_user_id, created_at, id);

CREATE INDEX idx_chatkit_sessions_user_status ON public.chatkit_sessions USING btree (clerk_user_id, status);

CREATE TRIGGER chatkit_sessions_updated_at BEFORE UPDATE ON public.chatkit_sessions FOR EACH ROW EXECUTE FUNCTION public.chatkit_sessions_set_updated_at();

ALTER TABLE public.chatkit_activity ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatkit_activity_own ON public.chatkit_activity FOR SELECT USING ((clerk_user_id = ( SELECT ((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::jsonb ->> 'sub'::text))));

CREATE POLICY chatkit_activity_service ON public.chatkit_activity TO chatkit_service USING (true) WITH CHECK (true);

ALTER TABLE public.chatkit_sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatkit_sessions_own ON public.chatkit_sessions FOR SELECT USING ((clerk_user_id = ( SELECT ((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::jsonb ->> 'sub'::text))));

CREATE POLICY chatkit_sessions_service ON public.chatkit_sessions TO chatkit_service USING (true) WITH CHECK (true);

ALTER TABLE public.chatkit_usage ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatkit_usage_service ON public.chatkit_usage TO chatkit_service USING (true) WITH CHECK (true);

REVOKE ALL ON FUNCTION public.chatkit_sessions_set_updated_at() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.cleanup_expired_chatkit_sessions(p_now timestamp with time zone, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.cleanup_expired_chatkit_sessions(p_now timestamp with time zone, p_limit integer) TO chatkit_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.chatkit_activity TO chatkit_service;
GRANT SELECT ON TABLE public.chatkit_activity TO chatkit_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chatkit_sessions TO chatkit_service;

GRANT SELECT(id) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(clerk_user_id) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(device_id) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(device_generated) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(workflow_id) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(status) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(metadata) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(expires_at) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(last_activity_at) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(created_at) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(updated_at) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(ended_at) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(end_reason) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(remembered) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(opens) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(checks) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(address) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(client_browser) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(client_os) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT(client_kind) ON TABLE public.chatkit_sessions TO chatkit_reader;

GRANT SELECT,INSERT,UPDATE ON TABLE public.chatkit_usage TO chatkit_service;

GRANT SELECT ON TABLE public.goose_db_version TO chatkit_service;
