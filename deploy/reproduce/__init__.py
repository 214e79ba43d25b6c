"""`gridchain reproduce`: every published table and figure through the contracts that a network installs.

**To add an experiment**, write it in the module of its market (`market_a` .. `market_d`; `registry.MODULES` names them)
and put it into that module's tuple `EXPERIMENTS`. The ids are `registry.IDS`.

1. *Inputs first.* A table `["A.fig8"]` in `inputs/A.toml` (one file per market) with `first_seed` and every number the
   experiment chooses; commit it before the first result. A test pins its digest
   (`tests/unit/deploy/test_reproduce_inputs.py`): add it there. If you change inputs after having seen a result, the
   claims are `Kind.CALIBRATED`. `[["A.table2".others]]` entries are changes of the table that the frame runs too, on
   three seeds each; they give the band of calibrated claims.
2. *`run(inputs: Inputs, seed: int) -> Trial`*, a module-level function without randomness of its own: numbers come
   from `ledger.draws.draw/uniform(.., seed, keys..)`. It drives deployed contracts on the real executor:
   `CaseWorld(chosen(LibraryParameters(..), names..))` of `node.conformance.world` (`send`, `attempt` for receipts with
   gas, `go` for time and scheduled calls, `query` for views, `enrol` for members; `node.market_days.village` if the
   market asks the registry). It returns `Trial(figures, rows, note)`: `figures[claim name]` is a dict of floats with
   the same names for every seed, `rows` are the lines of `data.csv` below `columns` (the frame adds the seed). It runs
   in a worker process, once per seed, and must not print, wait, write files or keep state between calls. 20 seeds of
   all experiments have 15 minutes on two cores: aim at below 10 s of processor time a seed, use a lower `most_seeds`
   where that is not enough. What it lacks on the machine it says by `CannotRun` with a fix: the id is then `not
   reproduced` with that note.
3. *`Claim`s*: published value (numbers by the same names, or words), class, rule in words (`tolerance`) and as a
   function `holds(figures)` of one seed. The first claim is the headline and gives the id its class. A
   `Kind.CANNOT` claim says `why`, and is run too. Verdicts: `verdict`. Data that the specification names and that
   cannot be shipped are replaced by SimBench profiles (`deploy.neighbourhood.load()`); `method` says so.
4. *`draw(inputs, trials) -> Chart`* makes the figure from the trials of all seeds (values of `chart`: `Line`, `Band`,
   `Bars`, `Points`, `Level` in `Panel`s); SVG, PNG, page, CSV, JSON and parameters are the frame's.

`gridchain reproduce ID --seeds 2 --out /tmp/x` shows it. `market_d` is the model.
"""
