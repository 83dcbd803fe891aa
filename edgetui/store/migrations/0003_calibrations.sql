-- Measured once a machine and engine build; the newest row is asked first, and its fingerprint says whether it holds.
CREATE TABLE calibrations (
    id INTEGER PRIMARY KEY,
    measured_at REAL NOT NULL,
    fingerprint TEXT NOT NULL,
    calibration TEXT NOT NULL
) STRICT;
