-- Conversations, kept as they go on.
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    started_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    model TEXT NOT NULL,
    model_name TEXT NOT NULL,
    engine TEXT NOT NULL,
    system_prompt TEXT NOT NULL,
    is_raw INTEGER NOT NULL,
    leaf INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_change ON conversations (changed_at);

-- What was said; turns with the same parent are alternatives. `folded` is the content without case, to search in.
CREATE TABLE turns (
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    role TEXT NOT NULL,
    said_at REAL NOT NULL,
    content TEXT NOT NULL,
    folded TEXT NOT NULL,
    answer TEXT,
    PRIMARY KEY (conversation_id, number)
) STRICT;

-- Parts of an answer that is not at its end yet; they become its content.
CREATE TABLE turn_parts (
    conversation_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    part TEXT NOT NULL
) STRICT;
CREATE INDEX turn_parts_by_turn ON turn_parts (conversation_id, number);
