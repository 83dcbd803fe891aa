-- Errors of tensors against the unquantized parent, both known by their fingerprints. `made_by` is the fingerprint of
-- the model that was measured, or what tells one trial of types from another (engine, importance matrix).
CREATE TABLE tensor_errors (
    parent TEXT NOT NULL,
    made_by TEXT NOT NULL,
    tensor TEXT NOT NULL,
    type_name TEXT NOT NULL,
    tensor_error TEXT NOT NULL,
    PRIMARY KEY (parent, made_by, tensor, type_name)
);
