# Every target is one command, given in full here and in the README.

# The largest size of dist/frigate in bytes: "make dist MAX_BYTES=100000" sets another one.
MAX_BYTES = 204800

.PHONY: dist test image bench order sizes clean

dist:
	tools/dist $(MAX_BYTES)

test:
	cargo test

image:
	docker build -t frigate --build-arg COMMIT=$$(git rev-parse --short=12 HEAD) .

bench: dist
	cargo bench

# Writes anew which functions come first in the file, from what a traced run executes, and builds
# the file once more.
order: dist
	cargo bench --locked -- --order tools/order.ld
	tools/dist $(MAX_BYTES)

# Writes the table anew that says what each feature costs.
sizes: dist
	tools/sizes doc/design.md

clean:
	rm -rf target dist
