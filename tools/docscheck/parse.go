package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// program runs an installed program on a block's file. Its failure is the
// block's.
func (c *blockChecker) program(ctx context.Context, p page, file, name string, args ...string) error {
	binary, err := lookPath(name)
	if err != nil {
		return err
	}
	printed, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return blockErrorf("%s refuses the block:\n%s", name, c.lastLines(string(printed), p, file))
	}
	return err
}

// lookPath also looks where Debian installs servers.
func lookPath(name string) (string, error) {
	if binary, err := exec.LookPath(name); err == nil {
		return binary, nil
	}
	binary, err := exec.LookPath(filepath.Join("/usr/sbin", name))
	if err != nil {
		return "", fmt.Errorf("%s is not installed: run .ci/install", name)
	}
	return binary, nil
}

func (c *blockChecker) parseShell(ctx context.Context, p page, b block) error {
	file, err := c.write(p, b, ".sh", "")
	if err != nil {
		return err
	}
	return c.program(ctx, p, file, "bash", "-n", file)
}

func (c *blockChecker) parseJavaScript(ctx context.Context, p page, b block) error {
	file, err := c.write(p, b, ".mjs", "")
	if err != nil {
		return err
	}
	return c.program(ctx, p, file, "node", "--check", file)
}

func (c *blockChecker) parsePython(ctx context.Context, p page, b block) error {
	file, err := c.write(p, b, ".py", "")
	if err != nil {
		return err
	}
	return c.program(ctx, p, file, "python3", "-c", `import sys; compile(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1], "exec")`, file)
}

func (c *blockChecker) parseJSON(_ context.Context, _ page, b block) error {
	decoder := json.NewDecoder(strings.NewReader(b.text))
	for documents := 0; ; documents++ {
		var value any
		err := decoder.Decode(&value)
		switch {
		case errors.Is(err, io.EOF) && documents > 0:
			return nil
		case err != nil:
			before := b.text[:min(int(decoder.InputOffset()), len(b.text))]
			return blockErrorf("invalid JSON after line %d: %v", b.line+1+strings.Count(strings.TrimSpace(before), "\n"), err)
		}
	}
}

func (c *blockChecker) parseYAML(_ context.Context, _ page, b block) error {
	// Empty lines make the parser's line numbers those of the page.
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(strings.Repeat("\n", b.line) + b.text)))
	for documents := 0; ; documents++ {
		var value any
		err := decoder.Decode(&value)
		switch {
		case errors.Is(err, io.EOF) && documents > 0:
			return nil
		case err != nil:
			return blockErrorf("invalid YAML: %v", err)
		}
	}
}

// testNginx tests a block with nginx -t. A block is a whole configuration, or
// belongs into http, or into a server: its directives tell. Hosts that the
// block names need not resolve.
func (c *blockChecker) testNginx(ctx context.Context, p page, b block) error {
	b.text = hostWithPort.ReplaceAllStringFunc(b.text, loopback)
	b.text = upstreamServer.ReplaceAllString(b.text, "${1}127.0.0.1${2}")
	header, trailer := c.nginxContext(b.text)
	file, err := c.write(p, b, ".nginx", header, trailer)
	if err != nil {
		return err
	}
	return c.program(ctx, p, file, "nginx", "-t", "-q", "-p", c.scratch, "-e", "stderr", "-c", file)
}

var (
	// hostWithPort is the address in a pass directive, if it has a port.
	hostWithPort = regexp.MustCompile(`\b(?:proxy|grpc)_pass\s+(?:\w+://)?[A-Za-z][\w.-]*:\d+`)
	// upstreamServer is a server of an upstream that has a host name.
	upstreamServer = regexp.MustCompile(`(\bserver\s+)[A-Za-z][\w.-]*((?::\d+)?\s*[\w= ]*;)`)
	// passHost is the name of an upstream, or of a host, in a pass directive.
	passHost     = regexp.MustCompile(`\b(?:proxy|grpc)_pass\s+(?:\w+://)?([A-Za-z][\w.-]*)\s*[/;]`)
	upstreamName = regexp.MustCompile(`\bupstream\s+([\w.-]+)\s*\{`)
)

// loopback replaces the host of a pass directive.
func loopback(directive string) string {
	port := directive[strings.LastIndex(directive, ":")+1:]
	start := strings.LastIndexAny(directive[:strings.LastIndex(directive, ":")], "/ \t") + 1
	return directive[:start] + net.JoinHostPort("127.0.0.1", port)
}

// nginxContext returns what must surround the text: the contexts that it lacks,
// and the upstreams that it names but does not define.
func (c *blockChecker) nginxContext(text string) (header, trailer string) {
	top := topDirectives(text)
	isTop := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(top, name) })
	}
	header = fmt.Sprintf("pid %s/nginx.pid; ", c.scratch)
	if isTop("http", "stream") {
		if !isTop("events") {
			header += "events {} "
		}
		return header, ""
	}
	header += "events {} http { access_log off; "
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		header += fmt.Sprintf("%s_temp_path %s/%s; ", kind, c.scratch, kind)
	}
	var defined []string
	for _, match := range upstreamName.FindAllStringSubmatch(text, -1) {
		defined = append(defined, match[1])
	}
	for _, match := range passHost.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(defined, match[1]) {
			header += fmt.Sprintf("upstream %s { server 127.0.0.1:1; } ", match[1])
			defined = append(defined, match[1])
		}
	}
	if isTop("server", "upstream", "map", "geo", "log_format", "limit_req_zone", "proxy_cache_path") {
		return header, "}\n"
	}
	return header + fmt.Sprintf("server { listen unix:%s/nginx.sock; ", c.scratch), "}}\n"
}

var nginxToken = regexp.MustCompile(`#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};#"']+`)

// topDirectives are the names of the directives that no braces enclose.
func topDirectives(text string) []string {
	var names []string
	depth, first := 0, true
	for _, word := range nginxToken.FindAllString(text, -1) {
		switch {
		case word[0] == '#':
		case word == "{":
			depth, first = depth+1, true
		case word == "}":
			depth, first = depth-1, true
		case word == ";":
			first = true
		default:
			if first && depth == 0 {
				names = append(names, word)
			}
			first = false
		}
	}
	return names
}
