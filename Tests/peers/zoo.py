"""The zoo's own side: everything goes through its binary, as a user would run it."""

import json
import pathlib
import subprocess
import tempfile

from safetensors.numpy import load_file, save_file


class Zoo:
    def __init__(self, binary):
        if not pathlib.Path(binary).is_file():
            raise SystemExit(f"{binary}: no such binary; build it (swift build -c release) or name it with --zoo")
        self.binary = binary

    def output(self, command, inputs, name):
        """Runs `zoo COMMAND --input ... --output ...` on named arrays and returns the output tensor `name`."""
        with tempfile.TemporaryDirectory(prefix="zoo-peers-") as folder:
            save_file(inputs, f"{folder}/in.safetensors")
            self._run([*command, "--input", f"{folder}/in.safetensors", "--output", f"{folder}/out.safetensors"])
            return load_file(f"{folder}/out.safetensors")[name]

    def samples(self, benchmark, runs):
        """Runs `zoo bench ...` on one case: the seconds of so many runs and the processor seconds of one."""
        plan = ["--warmup", "1", "--runs", str(runs), "--min-time", "0", "--json"]
        report = json.loads(self._run(["bench", *benchmark, *plan]))
        (row,) = report["results"]
        measured = row["measurement"]
        count = len(measured["samples"]) * measured["runs_per_sample"]
        return measured["samples"], (measured["user_time"] + measured["system_time"]) / count

    def version(self):
        return self._run(["--version"]).strip()

    def _run(self, arguments):
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"zoo {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout
