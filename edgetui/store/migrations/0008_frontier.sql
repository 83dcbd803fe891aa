-- Builds that sweeps made and measured, whole as JSON.
CREATE TABLE frontier_rows (
    sweep_id TEXT NOT NULL,
    cell_id TEXT NOT NULL,
    source_name TEXT NOT NULL,
    measured_at REAL NOT NULL,
    frontier_row TEXT NOT NULL,
    PRIMARY KEY (sweep_id, cell_id)
);
