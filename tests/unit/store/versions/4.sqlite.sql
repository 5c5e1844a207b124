BEGIN TRANSACTION;
CREATE TABLE batches (
	batch_id VARCHAR(32) NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	party VARCHAR(32) NOT NULL, 
	manifest BLOB NOT NULL, 
	actor VARCHAR(160) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	next_chunk INTEGER NOT NULL, 
	n_received BIGINT NOT NULL, 
	committed BOOLEAN NOT NULL, 
	leaf BIGINT, 
	PRIMARY KEY (batch_id), 
	UNIQUE (job_id, party), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id)
);
INSERT INTO "batches" VALUES('b1','j1','dukcapil',X'006D616E6966657374FF','spiffe://d/party/dukcapil','0000000000000000000000000000000000000000000000000000000000000000',3,1099511627776,1,1);
CREATE TABLE cosigned (
	agreement_id VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	note BLOB NOT NULL, 
	PRIMARY KEY (agreement_id)
);
CREATE TABLE destructions (
	id INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	agreement_id VARCHAR(64) NOT NULL, 
	body TEXT NOT NULL, 
	done BOOLEAN NOT NULL, 
	leaf BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "destructions" VALUES(1,'2026-12-01','pks/1','{}',1,1);
CREATE TABLE entries (
	"index" INTEGER NOT NULL, 
	leaf BLOB NOT NULL, 
	agreement_id VARCHAR(64), 
	job_id VARCHAR(32), 
	opening BLOB, 
	body BLOB, 
	PRIMARY KEY ("index")
);
INSERT INTO "entries" VALUES(0,X'67656E65736973',NULL,NULL,NULL,NULL);
INSERT INTO "entries" VALUES(1,X'00FF','pks/1','j1',X'0000000000000000000000000000000000000000000000000000000000000000',X'7B226E223A317D');
CREATE TABLE jobs (
	job_id VARCHAR(32) NOT NULL, 
	agreement_id VARCHAR(64) NOT NULL, 
	requester VARCHAR(32) NOT NULL, 
	request_id VARCHAR(36) NOT NULL, 
	request_sha256 BLOB NOT NULL, 
	actor VARCHAR(160) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	reason_code VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	requested_at BIGINT NOT NULL, 
	collect_until BIGINT NOT NULL, 
	comparisons_planned BIGINT NOT NULL, 
	comparisons_done BIGINT NOT NULL, 
	candidate_pairs BIGINT NOT NULL, 
	links BIGINT NOT NULL, 
	comparing_s FLOAT NOT NULL, 
	result_leaf BIGINT, 
	cosigned BLOB, 
	PRIMARY KEY (job_id), 
	UNIQUE (requester, request_id)
);
INSERT INTO "jobs" VALUES('j1','pks/1','imigrasi','r1',X'0101010101010101010101010101010101010101010101010101010101010101','spiffe://d/party/dukcapil','0000000000000000000000000000000000000000000000000000000000000000','{"agreement_id": "pks/1", "agreement_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "purpose": "demo", "attributes": [["nama", "nama"]], "parties": ["dukcapil", "imigrasi", "kemenlu"], "codes": {"schema_id": "0073007300730073007300730073007300730073007300730073007300730073", "epoch": 2147483648, "key_check": "ff6bff6bff6bff6b", "scheme": "clk", "code_bits": 512, "block_entries": 0, "block_copies": 0, "block_bytes": 0, "exact_slots": 0}, "threshold": 0.1, "cardinality": "one-to-many", "collect_timeout_s": 3600, "refinement": null}','collecting','','',1700000000,1700003600,4611686018427387904,2305843009213693952,1099511627776,3,1.5,1,NULL);
INSERT INTO "jobs" VALUES('j2','pks/1','imigrasi','r2',X'0101010101010101010101010101010101010101010101010101010101010101','spiffe://d/party/dukcapil','0000000000000000000000000000000000000000000000000000000000000000','{"agreement_id": "pks/1", "agreement_sha256": "0000000000000000000000000000000000000000000000000000000000000000", "purpose": "demo", "attributes": [["nama", "nama"]], "parties": ["dukcapil", "imigrasi", "kemenlu"], "codes": {"schema_id": "0073007300730073007300730073007300730073007300730073007300730073", "epoch": 2147483648, "key_check": "ff6bff6bff6bff6b", "scheme": "clk", "code_bits": 512, "block_entries": 0, "block_copies": 0, "block_bytes": 0, "exact_slots": 0}, "threshold": 0.1, "cardinality": "one-to-many", "collect_timeout_s": 3600, "refinement": null}','failed','A_CODE','why: é',1700000000,1700003600,0,0,0,0,0.0,NULL,X'6E6F7465FF');
CREATE TABLE lookup_requests (
	grant_id VARCHAR(32) NOT NULL, 
	sequence BIGINT NOT NULL, 
	minute BIGINT NOT NULL, 
	request BLOB NOT NULL, 
	PRIMARY KEY (grant_id, sequence)
);
CREATE TABLE lookups (
	agreement_id VARCHAR(64) NOT NULL, 
	minute BIGINT NOT NULL, 
	caller VARCHAR(80) NOT NULL, 
	register VARCHAR(32) NOT NULL, 
	grant_id VARCHAR(32) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	cosigned BIGINT NOT NULL, 
	answered BIGINT NOT NULL, 
	refused BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	leaf BIGINT, 
	PRIMARY KEY (agreement_id, minute, caller, register, grant_id)
);
INSERT INTO "lookups" VALUES('pks/1',29000000,'party/imigrasi','dukcapil','','',0,4,1,4,NULL);
CREATE TABLE refinements (
	job_id VARCHAR(32) NOT NULL, 
	party VARCHAR(32) NOT NULL, 
	counterpart VARCHAR(32) NOT NULL, 
	n_chunks INTEGER NOT NULL, 
	next_chunk INTEGER NOT NULL, 
	PRIMARY KEY (job_id, party, counterpart), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id)
);
INSERT INTO "refinements" VALUES('j1','dukcapil','imigrasi',3,1);
CREATE TABLE registers (
	upload_id VARCHAR(32) NOT NULL, 
	agreement_id VARCHAR(64) NOT NULL, 
	party VARCHAR(32) NOT NULL, 
	manifest BLOB NOT NULL, 
	expires VARCHAR(10) NOT NULL, 
	next_chunk INTEGER NOT NULL, 
	n_received BIGINT NOT NULL, 
	revision INTEGER NOT NULL, 
	leaf BIGINT, 
	PRIMARY KEY (upload_id)
);
INSERT INTO "registers" VALUES('u1','pks/1','dukcapil',X'006D','2026-12-01',2,7,1,1);
CREATE TABLE signed_head (
	id INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	root BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "signed_head" VALUES(1,2,X'7272727272727272727272727272727272727272727272727272727272727272');
CREATE TABLE store (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	writer VARCHAR(32), 
	PRIMARY KEY (id)
);
INSERT INTO "store" VALUES(1,4,NULL);
CREATE TABLE tasks (
	job_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	pairs BIGINT NOT NULL, 
	PRIMARY KEY (job_id, number), 
	FOREIGN KEY(job_id) REFERENCES jobs (job_id)
);
INSERT INTO "tasks" VALUES('j1',5,1099511627776);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX ix_lookup_requests_minute ON lookup_requests (minute);
COMMIT;
