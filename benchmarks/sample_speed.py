"""Images per second of decoding draws from the prior, z ~ N(0, I) -> pictures in NumPy, beside PyTorch and JAX.

    python benchmarks/sample_speed.py [--rounds 3] [--case mlp-32 conv] [--batch 1 64 1000] [--peers VENV] [--dry-run]

Each contestant draws so many images a call, after the compilation, in a process of its own, in turn. tfvae's is
`model.sample` under XLA. Writes results/sample_speed.{md,csv}.
"""

import argparse
import statistics
import tempfile

import peers
from common import format_result_table, write_results
from contestants import TASKS
from contestants.cases import CASES


def main(rounds, cases, batches, venv, dry):
    """Time all contestants, and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            for batch in batches:
                speeds_by_name = {name: [] for name in TASKS["sample"]}
                for _ in range(1 if dry else rounds):
                    for name in speeds_by_name:
                        speeds = peers.run_contestant(
                            venv, "sample", name, case, folder, batch=batch, calls=1 if dry else 5
                        )
                        speeds_by_name[name].append(statistics.median(speeds))
                        peers.report_speed(f"{case}, batch {batch}", name, speeds_by_name[name][-1])
                rows += peers.build_ratio_rows(case, speeds_by_name, batch=dict.fromkeys(speeds_by_name, batch))
    print(format_result_table(rows, list(rows[0]))) if dry else write_results("sample_speed", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, default=["mlp-32", "conv"])
    parser.add_argument("--batch", nargs="*", type=int, default=[1, 64, 1000])
    peers.add_peer_options(parser)
    args = parser.parse_args()
    main(args.rounds, args.case, args.batch, args.peers, args.dry_run)
