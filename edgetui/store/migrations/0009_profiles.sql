-- Settings under which a model is run on a machine, each under a name of the person's; whole as JSON.
CREATE TABLE profiles (
    model TEXT NOT NULL,
    machine TEXT NOT NULL,
    name TEXT NOT NULL,
    used_at REAL NOT NULL,
    profile TEXT NOT NULL,
    PRIMARY KEY (model, machine, name)
) STRICT;
