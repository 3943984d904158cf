"""Call a running app from Python: python examples/api/client.py http://127.0.0.1:7860 PICTURE [USER PASSWORD]."""

import sys

from gradio_client import Client, handle_file


def main(url: str, picture: str, *account: str) -> None:
    """Print the box of each face and what each model predicts."""
    login = (account[0], account[1]) if account else None
    client = Client(url, auth=login, verbose=False, httpx_kwargs={"timeout": 60})
    result = client.predict(handle_file(picture), api_name="/compare")
    for number, face in enumerate(result["faces"], 1):
        print(f"face {number} at {[round(value) for value in face['box']]}")
        for name, model in face["models"].items():
            print(f"  {name}: {model['label']} {model['probabilities'][model['label']]:.0%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
