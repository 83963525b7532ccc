"""A chat in a few lines: `python examples/chat.py FOLDER`, on two machines of one pool."""

import asyncio
import sys

import meerkat


async def main(folder: str) -> None:
    """Publish what is typed; print what others publish."""
    async with meerkat.Pool(folder) as pool, asyncio.TaskGroup() as group:
        printing = group.create_task(show(pool))
        while line := await asyncio.to_thread(sys.stdin.readline):
            await pool.publish(line.strip().encode())
        printing.cancel()


async def show(pool: meerkat.Pool) -> None:
    """Until the program ends."""
    async for message in pool.messages():
        print(f"{message.author}: {message.data.decode(errors='replace')!r}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
