# The image holds one static binary and the certificates it needs to reach
# Clerk and a database over TLS.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t chatkit-session .

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unreleased
RUN VERSION="$VERSION" .ci/build /out/chatkit-session
RUN mkdir -p /out/data /out/keys

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/chatkit-session /chatkit-session
# A volume mounted on one of these starts with its owner.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/keys /keys
USER 65532:65532
# Without a DATABASE_URL of its own a container keeps its sessions in /data.
ENV DATABASE_URL=sqlite:/data/chatkit-session.db
EXPOSE 8080
ENTRYPOINT ["/chatkit-session"]
CMD ["serve"]
