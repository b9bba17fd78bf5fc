"""Snakemake's own records and internals; nothing else of the project touches them.

The invariant: an output is current if, and only if,

1. it has a record: some Snakemake here saw its job end well, or the record came with a commit;
2. it is the file that the record is of, by its sha256, which is taken as the job ends;
3. the record has the rule, the frozen settings, the fingerprint of the code and the inputs that the
   plan has now, and each input is the file that the job read, or is as old as the output;
4. each of its inputs is current;
5. no job that may have written half of it was cut off: Snakemake's mark on it is gone.

Whatever is not current is made again when it is asked for, and nothing else is. Snakemake itself
sees to 3, 4 and 5. `altered` sees to 2, `provenance` to the second half of 1, and `persistence` to
its first half.

For 3 to be true of what was run, and not only of what was planned, the plan is frozen with the
fingerprints of all code before the first job, and a job stops if its code is another
(`unlabel.params.planned_code`).

For 5 to be true, a job ends with its Snakemake (`unlabel.workflow.lifeline`), and those in Slurm
are ended by `unlabel.workflow.leftovers`. What still outlives its Snakemake names no output that
another one waits for or has made (`wanted`).
"""
