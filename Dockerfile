# syntax=docker/dockerfile:1
# The operator's image: one static program, the certificate authorities, and nothing else.
#
#   docker buildx build --tag matinee .
#   docker buildx build --platform linux/amd64,linux/arm64 --tag registry.example.com/matinee --push .
#   docker buildx build --target program --output type=local,dest=dist .
ARG RUST_VERSION=1.95

# Cross-compiles on the build platform, which is many times faster than emulating the target.
FROM --platform=$BUILDPLATFORM rust:${RUST_VERSION}-bookworm AS build
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) echo "x86_64-unknown-linux-gnu gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      arm64) echo "aarch64-unknown-linux-gnu gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      *) echo "there is no image for $TARGETARCH" >&2; exit 1 ;; \
    esac > /target
RUN read -r target gcc libc < /target \
 && apt-get update \
 && if [ "$(dpkg --print-architecture)" = "$TARGETARCH" ]; then gcc=gcc; libc=libc6-dev; fi \
 && apt-get install --yes --no-install-recommends "$gcc" "$libc" \
 && rustup target add "$target"
# cargo-auditable embeds the list of crates in the program, where image scanners find it. It is built outside of /src,
# because that folder's compiler flags are not for it.
RUN cargo install --quiet --locked --version 0.7.5 cargo-auditable
# Compiler and linker of each target; cargo uses those of the target it builds for.
ENV CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=target-$TARGETARCH \
    read -r target _ < /target \
 && cargo auditable build --locked --release --package matinee --features otel --target "$target" \
 && install -D -m 0755 "target/$target/release/matinee" /out/matinee

# The program alone, without an image.
FROM scratch AS program
COPY --from=build /out/matinee /matinee

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Matinee" \
      org.opencontainers.image.description="Ephemeral pull-request environments on Kubernetes, driven by the GitHub Deployments API" \
      org.opencontainers.image.source="https://github.com/matinee-dev/matinee" \
      org.opencontainers.image.documentation="https://github.com/matinee-dev/matinee/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/matinee /matinee
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/matinee"]
CMD ["run"]
