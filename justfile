# The steps of CI, one recipe each.

_default:
    @just --list

# What every change passes
ci:
    bash .ci/run

# What takes longer as well
nightly:
    bash .ci/run nightly

# Is the code formatted?
fmt:
    bash .ci/run fmt

# Clippy, with warnings as errors
lint:
    bash .ci/run lint

# Do the rules depend on nothing that reads a clock or a network?
purity:
    bash .ci/run purity

# All tests
test:
    bash .ci/run test

# Does `serve` answer as docs/openapi.json says?
openapi:
    bash .ci/run openapi

# Do other people's tools accept the OSCAL and OCSF exports?
exports:
    bash .ci/run exports

# The console in Chromium: accessibility, keyboard, scripts off, narrow, printed, and the paths of people
browser:
    bash .ci/run browser

# Ten thousand seeds of trouble, 200 kills, and a proxy that loses answers
faults:
    bash .ci/run faults

# Facts alone give the numbers: under every limit from 1 to 2,160 hours
limits:
    bash .ci/run limits

# Licences, sources and banned crates
deny:
    bash .ci/run deny

# What SAM, cfn-lint, checkov and our own assertions say of template.yaml
template:
    bash .ci/run template

# The commands of docs/lambda-local.md: each function under `cargo lambda watch`
watch:
    bash .ci/run watch

# Build, deploy into an emulator of AWS on loopback, and drive it
deploy:
    bash .ci/run deploy

# Records per second, processor time, memory and requests, beside the floor that curl sets
bench:
    tests/bench/run edr
    tests/bench/run sat

# Size and init of each bootstrap of the real release, under the Lambda runtime emulator
sizes:
    bash .ci/run sizes

# Cold start of connection-test under the Lambda runtime emulator, beside the same job in Python with boto3
bench-cold:
    bash .ci/run bench-cold

# 10,000 connections at a tick: planned, run and committed, beside the same requests without us
bench-many:
    cargo bench --workspace --bench many

# A client over HTTP in `serve`: the median of each route beside /healthz of the same server
bench-http:
    tests/bench/http

# A year of evidence as a pack: made, checked, and how large, beside sha256sum and zip over the same files
bench-packs:
    cargo bench --workspace --bench packs

# How long pages of the console take after their reads, and how large they are
bench-console:
    cargo bench --workspace --bench console

# What one run uses of AWS, for infra/cost.toml
bench-usage:
    bash .ci/run bench-usage

# Remove a development stack with everything in it
remove-development stack="huntress-evidence-dev":
    python3 infra/remove_development.py {{stack}}

# Zips of all functions with checksums and a bill of materials
release:
    infra/release

# The first hour of a stack on a real account
smoke stack:
    infra/smoke {{stack}}
