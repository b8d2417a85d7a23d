"""The command line: parse, call a task, print. The only room that prints; nothing here imports torch early."""
