-- What headers of model files say, so that they are read once; an entry holds for this size and time of change.
CREATE TABLE model_rows (
    path TEXT NOT NULL,
    source TEXT NOT NULL,
    reader INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    model_row BLOB NOT NULL,
    PRIMARY KEY (path, source)
);

-- What a person wrote on a model, found again by its content.
CREATE TABLE model_marks (
    fingerprint TEXT PRIMARY KEY,
    is_favourite INTEGER NOT NULL,
    tags TEXT NOT NULL,
    note TEXT NOT NULL
);
