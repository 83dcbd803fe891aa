-- Measured latencies of ONNX graphs, whole as JSON, with the columns that lists sort and filter by.
CREATE TABLE onnx_latencies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT,
    measured_at REAL NOT NULL,
    model_name TEXT NOT NULL,
    model_fingerprint TEXT NOT NULL,
    latency_row TEXT NOT NULL
);
