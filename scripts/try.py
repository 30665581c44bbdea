"""Runs a small project with stdin through the Python client and prints what came back."""

import sys

from python_executor_client import PythonExecutorClient

client = PythonExecutorClient(sys.argv[1])
result = client.execute_sync(
    files={
        "main.py": "import sys\nfrom greeting import greet\n\nfor name in sys.stdin.read().split():\n    print(greet(name))\n",
        "greeting.py": "def greet(name):\n    return f'Hello, {name}!'\n",
    },
    entrypoint="main.py",
    stdin="Ada Grace",
)
print(result.stdout, end="")
print(f"status {result.status}, exit code {result.exit_code}, {result.duration_ms} ms", file=sys.stderr)
sys.exit(0 if result.stdout == "Hello, Ada!\nHello, Grace!\n" and result.exit_code == 0 else 1)
