-- What soaks, A/B comparisons, autotunes and load times found, whole as JSON.
CREATE TABLE bench_studies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT,
    measured_at REAL NOT NULL,
    kind TEXT NOT NULL,
    result TEXT NOT NULL,
    machine TEXT NOT NULL
) STRICT;
