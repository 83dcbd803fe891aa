-- Index over the job folders; each folder's journal is the truth.
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    goal TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    summary TEXT NOT NULL DEFAULT '',
    output TEXT
);

CREATE INDEX jobs_by_age ON jobs (created_at);

-- What a file was made from, found again by what it is now.
CREATE TABLE provenance (
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    parent_name TEXT NOT NULL,
    parent_path TEXT NOT NULL,
    type_name TEXT NOT NULL,
    recovered_from TEXT,
    recipe TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (path, size_bytes, mtime_ns)
);
