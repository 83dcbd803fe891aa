-- Measured quality, whole as JSON, with the columns that lists sort and filter by; a row that is told twice is one.
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT,
    measured_at REAL NOT NULL,
    model_name TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL,
    model_path TEXT NOT NULL,
    text_sha256 TEXT NOT NULL,
    quality_row TEXT NOT NULL
);

CREATE UNIQUE INDEX evaluations_once ON evaluations (measured_at, model_path);
