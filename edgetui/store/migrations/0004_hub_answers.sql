-- What the hub told, to be shown again where there is no link.
CREATE TABLE hub_answers (
    question TEXT PRIMARY KEY,
    fetched_at REAL NOT NULL,
    answer BLOB NOT NULL
);

CREATE INDEX hub_answers_by_age ON hub_answers (fetched_at);
