"""Models on a server that speaks OpenAI's protocol: asked over HTTP, measured from this side."""
