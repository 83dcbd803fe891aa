-- Prompts that several models or settings answered beside each other, whole as JSON.
CREATE TABLE comparisons (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at REAL NOT NULL,
    prompt TEXT NOT NULL,
    preferred INTEGER,
    compared TEXT NOT NULL
);
