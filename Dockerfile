# From source to an image that holds one file, the static binary:
#
#     docker build -t frigate .
#
# and then, in the Dockerfile of any program (libc or none, Debian, Alpine, distroless):
#
#     COPY --from=frigate /frigate /usr/local/bin/frigate
#     ENTRYPOINT ["frigate", "--restart=unexpected", "--"]
#
# The base needs Debian's packages of the Rust compiler, named -web, which are kept current within a stable release.
ARG BASE=debian:12

FROM ${BASE} AS build
# ca-certificates: cargo takes the dependencies from its registry over TLS. Without a network, `cargo vendor` in the
# context and a .cargo/config.toml beside it serve as well: both are copied along.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cargo-web make musl-tools rust-web-src rustc-web \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What `frigate --version` says: `docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) …`, or `make image`.
ARG COMMIT=unknown
RUN FRIGATE_COMMIT=$COMMIT make dist

FROM scratch
COPY --from=build /src/dist/frigate /frigate
ENTRYPOINT ["/frigate"]
