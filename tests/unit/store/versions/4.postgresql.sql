SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.batches (
    batch_id character varying(32) NOT NULL,
    job_id character varying(32) NOT NULL,
    party character varying(32) NOT NULL,
    manifest bytea NOT NULL,
    actor character varying(160) NOT NULL,
    key character varying(64) NOT NULL,
    next_chunk integer NOT NULL,
    n_received bigint NOT NULL,
    committed boolean NOT NULL,
    leaf bigint
);
CREATE TABLE public.cosigned (
    agreement_id character varying(64) NOT NULL,
    size bigint NOT NULL,
    note bytea NOT NULL
);
CREATE TABLE public.destructions (
    id integer NOT NULL,
    key character varying(64) NOT NULL,
    agreement_id character varying(64) NOT NULL,
    body text NOT NULL,
    done boolean NOT NULL,
    leaf bigint
);
CREATE SEQUENCE public.destructions_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.destructions_id_seq OWNED BY public.destructions.id;
CREATE TABLE public.entries (
    index bigint NOT NULL,
    leaf bytea NOT NULL,
    agreement_id character varying(64),
    job_id character varying(32),
    opening bytea,
    body bytea
);
CREATE SEQUENCE public.entries_index_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.entries_index_seq OWNED BY public.entries.index;
CREATE TABLE public.jobs (
    job_id character varying(32) NOT NULL,
    agreement_id character varying(64) NOT NULL,
    requester character varying(32) NOT NULL,
    request_id character varying(36) NOT NULL,
    request_sha256 bytea NOT NULL,
    actor character varying(160) NOT NULL,
    key character varying(64) NOT NULL,
    spec text NOT NULL,
    state character varying(32) NOT NULL,
    reason_code character varying(64) NOT NULL,
    reason text NOT NULL,
    requested_at bigint NOT NULL,
    collect_until bigint NOT NULL,
    comparisons_planned bigint NOT NULL,
    comparisons_done bigint NOT NULL,
    candidate_pairs bigint NOT NULL,
    links bigint NOT NULL,
    comparing_s double precision NOT NULL,
    result_leaf bigint,
    cosigned bytea
);
CREATE TABLE public.lookup_requests (
    grant_id character varying(32) NOT NULL,
    sequence bigint NOT NULL,
    minute bigint NOT NULL,
    request bytea NOT NULL
);
CREATE TABLE public.lookups (
    agreement_id character varying(64) NOT NULL,
    minute bigint NOT NULL,
    caller character varying(80) NOT NULL,
    register character varying(32) NOT NULL,
    grant_id character varying(32) NOT NULL,
    key character varying(64) NOT NULL,
    cosigned bigint NOT NULL,
    answered bigint NOT NULL,
    refused bigint NOT NULL,
    sequence bigint NOT NULL,
    leaf bigint
);
CREATE TABLE public.refinements (
    job_id character varying(32) NOT NULL,
    party character varying(32) NOT NULL,
    counterpart character varying(32) NOT NULL,
    n_chunks integer NOT NULL,
    next_chunk integer NOT NULL
);
CREATE TABLE public.registers (
    upload_id character varying(32) NOT NULL,
    agreement_id character varying(64) NOT NULL,
    party character varying(32) NOT NULL,
    manifest bytea NOT NULL,
    expires character varying(10) NOT NULL,
    next_chunk integer NOT NULL,
    n_received bigint NOT NULL,
    revision integer NOT NULL,
    leaf bigint
);
CREATE TABLE public.signed_head (
    id integer NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL
);
CREATE SEQUENCE public.signed_head_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.signed_head_id_seq OWNED BY public.signed_head.id;
CREATE TABLE public.store (
    id integer NOT NULL,
    version integer NOT NULL,
    writer character varying(32)
);
CREATE SEQUENCE public.store_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.store_id_seq OWNED BY public.store.id;
CREATE TABLE public.tasks (
    job_id character varying(32) NOT NULL,
    number integer NOT NULL,
    pairs bigint NOT NULL
);
ALTER TABLE ONLY public.destructions ALTER COLUMN id SET DEFAULT nextval('public.destructions_id_seq'::regclass);
ALTER TABLE ONLY public.entries ALTER COLUMN index SET DEFAULT nextval('public.entries_index_seq'::regclass);
ALTER TABLE ONLY public.signed_head ALTER COLUMN id SET DEFAULT nextval('public.signed_head_id_seq'::regclass);
ALTER TABLE ONLY public.store ALTER COLUMN id SET DEFAULT nextval('public.store_id_seq'::regclass);
INSERT INTO public.batches VALUES ('b1', 'j1', 'dukcapil', '\x006d616e6966657374ff', 'spiffe://d/party/dukcapil', '0000000000000000000000000000000000000000000000000000000000000000', 3, 1099511627776, true, 1);
INSERT INTO public.destructions VALUES (1, '2026-12-01', 'pks/1', '{}', true, 1);
INSERT INTO public.entries VALUES (0, '\x67656e65736973', NULL, NULL, NULL, NULL);
INSERT INTO public.entries VALUES (1, '\x00ff', 'pks/1', 'j1', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x7b226e223a317d');
INSERT INTO public.jobs VALUES ('j1', 'pks/1', 'imigrasi', 'r1', '\x0101010101010101010101010101010101010101010101010101010101010101', 'spiffe://d/party/dukcapil', '0000000000000000000000000000000000000000000000000000000000000000', '{"agreement_id": "pks/1", "agreement_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "purpose": "demo", "attributes": [["nama", "nama"]], "parties": ["dukcapil", "imigrasi", "kemenlu"], "codes": {"schema_id": "0073007300730073007300730073007300730073007300730073007300730073", "epoch": 2147483648, "key_check": "ff6bff6bff6bff6b", "scheme": "clk", "code_bits": 512, "block_entries": 0, "block_copies": 0, "block_bytes": 0, "exact_slots": 0}, "threshold": 0.1, "cardinality": "one-to-many", "collect_timeout_s": 3600, "refinement": null}', 'collecting', '', '', 1700000000, 1700003600, 4611686018427387904, 2305843009213693952, 1099511627776, 3, 1.5, 1, NULL);
INSERT INTO public.jobs VALUES ('j2', 'pks/1', 'imigrasi', 'r2', '\x0101010101010101010101010101010101010101010101010101010101010101', 'spiffe://d/party/dukcapil', '0000000000000000000000000000000000000000000000000000000000000000', '{"agreement_id": "pks/1", "agreement_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "purpose": "demo", "attributes": [["nama", "nama"]], "parties": ["dukcapil", "imigrasi", "kemenlu"], "codes": {"schema_id": "0073007300730073007300730073007300730073007300730073007300730073", "epoch": 2147483648, "key_check": "ff6bff6bff6bff6b", "scheme": "clk", "code_bits": 512, "block_entries": 0, "block_copies": 0, "block_bytes": 0, "exact_slots": 0}, "threshold": 0.1, "cardinality": "one-to-many", "collect_timeout_s": 3600, "refinement": null}', 'failed', 'A_CODE', 'why: é', 1700000000, 1700003600, 0, 0, 0, 0, 0, NULL, '\x6e6f7465ff');
INSERT INTO public.lookups VALUES ('pks/1', 29000000, 'party/imigrasi', 'dukcapil', '', '', 0, 4, 1, 4, NULL);
INSERT INTO public.refinements VALUES ('j1', 'dukcapil', 'imigrasi', 3, 1);
INSERT INTO public.registers VALUES ('u1', 'pks/1', 'dukcapil', '\x006d', '2026-12-01', 2, 7, 1, 1);
INSERT INTO public.signed_head VALUES (1, 2, '\x7272727272727272727272727272727272727272727272727272727272727272');
INSERT INTO public.store VALUES (1, 4, NULL);
INSERT INTO public.tasks VALUES ('j1', 5, 1099511627776);
SELECT pg_catalog.setval('public.destructions_id_seq', 1, true);
SELECT pg_catalog.setval('public.entries_index_seq', 1, false);
SELECT pg_catalog.setval('public.signed_head_id_seq', 1, false);
SELECT pg_catalog.setval('public.store_id_seq', 1, false);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_job_id_party_key UNIQUE (job_id, party);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_pkey PRIMARY KEY (batch_id);
ALTER TABLE ONLY public.cosigned
    ADD CONSTRAINT cosigned_pkey PRIMARY KEY (agreement_id);
ALTER TABLE ONLY public.destructions
    ADD CONSTRAINT destructions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (index);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_requester_request_id_key UNIQUE (requester, request_id);
ALTER TABLE ONLY public.lookup_requests
    ADD CONSTRAINT lookup_requests_pkey PRIMARY KEY (grant_id, sequence);
ALTER TABLE ONLY public.lookups
    ADD CONSTRAINT lookups_pkey PRIMARY KEY (agreement_id, minute, caller, register, grant_id);
ALTER TABLE ONLY public.refinements
    ADD CONSTRAINT refinements_pkey PRIMARY KEY (job_id, party, counterpart);
ALTER TABLE ONLY public.registers
    ADD CONSTRAINT registers_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY public.signed_head
    ADD CONSTRAINT signed_head_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (job_id, number);
CREATE INDEX ix_jobs_state ON public.jobs USING btree (state);
CREATE INDEX ix_lookup_requests_minute ON public.lookup_requests USING btree (minute);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id);
ALTER TABLE ONLY public.refinements
    ADD CONSTRAINT refinements_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(job_id);
