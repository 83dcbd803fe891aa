-- Benchmark rows, whole as JSON, with the columns that lists sort and filter by.
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT,
    measured_at REAL NOT NULL,
    model_name TEXT NOT NULL,
    test TEXT NOT NULL,
    bench_row TEXT NOT NULL,
    machine TEXT NOT NULL
);

CREATE INDEX measurements_by_age ON measurements (measured_at);
