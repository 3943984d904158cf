"""Call a running app as MCP clients do: python examples/api/mcp_client.py URL PICTURE [USER PASSWORD].

URL is such as http://127.0.0.1:7860/mcp of an app started with --mcp. Needs requirements-mcp.txt.
"""

import asyncio
import base64
import sys
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, picture: str, *account: str) -> None:
    """Print what the models together predict for each face, and where their evidence lies in the first one."""
    login = httpx2.BasicAuth(account[0], account[1]) if account else None
    image = base64.b64encode(Path(picture).read_bytes()).decode()
    async with (
        httpx2.AsyncClient(auth=login, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        answer = (await client.call_tool("predict", {"image": image})).structured_content or {}
        for number, face in enumerate(answer["faces"], 1):
            print(f"face {number} at {[round(side) for side in face['box']]}: {face['label']} {face['confidence']:.0%}")
        answer = (await client.call_tool("explain", {"image": image})).structured_content or {}
        for name, model in answer["models"].items():
            shares = model["maps"][model["label"]]["shares"]
            print(f"  {name}: {model['label']}, most evidence on {max(shares, key=shares.__getitem__)}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
