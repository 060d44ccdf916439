# Builds and runs Proscenium without anything of the host but a container engine.
#
#   docker build -t proscenium .
#   docker run --network host -v proscenium:/data proscenium
#
# Host networking is best: candidates then carry the machine's addresses, and UDP passes no proxy. Without it, publish the
# ports and say where clients reach them:
#   docker run -p 8080:8080 -p 7900-7901:7900-7901/udp -p 7900-7901:7900-7901/tcp -v proscenium:/data \
#     -e PROSCENIUM_MEDIA_THREADS=2 -e PROSCENIUM_PUBLIC_IP=203.0.113.7 proscenium

FROM rust:1-bookworm AS build
# OpenSSL, aws-lc and SQLite are compiled from source, with a C compiler, Perl and make.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc g++ make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin proscenium \
    && install -D -s -m 0755 target/release/proscenium /out/proscenium

FROM debian:bookworm-slim
RUN useradd --system --uid 900 --user-group --no-create-home --shell /usr/sbin/nologin --home-dir /data proscenium \
    && install -d -o proscenium -g proscenium -m 0700 /data
COPY --from=build /out/proscenium /usr/local/bin/proscenium
USER proscenium
WORKDIR /data
VOLUME /data
ENV PROSCENIUM_DATA_DIR=/data
# HTTP; then the first two media threads, each over UDP and TCP.
EXPOSE 8080/tcp 7900/udp 7900/tcp 7901/udp 7901/tcp
HEALTHCHECK --interval=10s --timeout=10s --start-period=5s --retries=3 CMD ["proscenium", "health"]
# SIGTERM, which is what `docker stop` sends, says good-bye to everybody first.
STOPSIGNAL SIGTERM
ENTRYPOINT ["proscenium"]
CMD ["serve"]
