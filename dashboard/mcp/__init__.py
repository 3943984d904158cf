"""The models as tools of MCP clients (Model Context Protocol): an extra, see requirements-mcp.txt."""
