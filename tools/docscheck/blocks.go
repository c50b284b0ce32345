package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// blockChecker checks the fenced blocks of pages.
type blockChecker struct {
	repo    repository
	scratch string
	// runner is started by the first block that runs; nil before.
	runner *runner
	noRun  bool
}

// checkBlocks checks the blocks of the pages and prints their numbers, one line
// for each page.
func checkBlocks(ctx context.Context, repo repository, pages []page, o options, stdout io.Writer) ([]problem, error) {
	for _, path := range o.only {
		if !slices.ContainsFunc(pages, func(p page) bool { return p.path == path }) {
			return nil, fmt.Errorf("%s is not a page of the repository", path)
		}
	}
	scratch, err := os.MkdirTemp("", "docscheck-")
	if err != nil {
		return nil, err
	}
	c := &blockChecker{repo: repo, scratch: scratch, noRun: o.noRun}
	defer c.close()
	var problems []problem
	for _, p := range pages {
		if len(o.only) > 0 && !slices.Contains(o.only, p.path) {
			continue
		}
		n, found, err := c.checkPage(ctx, p)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
		fmt.Fprintf(stdout, "%s: %s\n", p.path, n)
	}
	return problems, nil
}

func (c *blockChecker) close() {
	if c.runner != nil {
		c.runner.stop()
	}
	_ = os.RemoveAll(c.scratch)
}

// outcome is how a block was checked.
type outcome int

const (
	ran outcome = iota
	parsed
	skipped
	output
)

// counts is how many blocks of a page had each outcome.
type counts [output + 1]int

func (c counts) String() string {
	return fmt.Sprintf("%d run, %d parsed, %d skipped, %d output", c[ran], c[parsed], c[skipped], c[output])
}

// language says how blocks in a language are checked.
type language struct {
	check   func(c *blockChecker, ctx context.Context, p page, b block) error
	outcome outcome
	options []string
}

const (
	optionNoRun     = "no-run"
	optionAnyStatus = "any-status"
)

func languages() map[string]language {
	return map[string]language{
		"sh":      {(*blockChecker).runShell, ran, []string{optionNoRun, optionAnyStatus}},
		"js":      {(*blockChecker).parseJavaScript, parsed, []string{optionNoRun}},
		"python":  {(*blockChecker).parsePython, parsed, []string{optionNoRun}},
		"json":    {(*blockChecker).parseJSON, parsed, []string{optionNoRun}},
		"yaml":    {(*blockChecker).parseYAML, parsed, []string{optionNoRun}},
		"nginx":   {(*blockChecker).testNginx, parsed, []string{optionNoRun}},
		"text":    {nil, output, nil},
		"console": {nil, output, nil},
	}
}

// otherNames are names of languages that would be skipped silently.
var otherNames = map[string]string{
	"bash": "sh", "shell": "sh", "zsh": "sh", "shell-session": "console", "javascript": "js", "mjs": "js",
	"py": "python", "python3": "python", "yml": "yaml", "jsonc": "json", "jsonl": "json", "txt": "text", "plain": "text",
}

// checkPage checks the blocks of a page. The error is for what keeps the check
// from being made at all, such as a missing program.
func (c *blockChecker) checkPage(ctx context.Context, p page) (counts, []problem, error) {
	var n counts
	var problems []problem
	if c.runner != nil {
		c.runner.endPage()
	}
	for _, b := range p.blocks {
		how, err := c.checkBlock(ctx, p, b)
		var wrong blockError
		switch {
		case errors.As(err, &wrong):
			problems = append(problems, problem{p.path, b.line, wrong.Error()})
		case err != nil:
			return n, nil, fmt.Errorf("%s:%d: %w", p.path, b.line, err)
		default:
			n[how]++
		}
	}
	return n, problems, ctx.Err()
}

// blockError is what is wrong with a block.
type blockError string

func (e blockError) Error() string { return string(e) }

func blockErrorf(format string, args ...any) error { return blockError(fmt.Sprintf(format, args...)) }

const ellipsis = "…"

func (c *blockChecker) checkBlock(ctx context.Context, p page, b block) (outcome, error) {
	if !b.closed {
		return 0, blockErrorf("the block has no closing fence")
	}
	if b.language == "" {
		return 0, blockErrorf("the block names no language: use text for output")
	}
	if right := otherNames[b.language]; right != "" {
		return 0, blockErrorf("unknown language %s: use %s", b.language, right)
	}
	how, known := languages()[b.language]
	if how.outcome != output && strings.Contains(b.text, ellipsis) {
		return 0, blockErrorf("the block contains %s: write it out, so that readers can use it as it stands", ellipsis)
	}
	if !known {
		return skipped, nil
	}
	for _, option := range b.options {
		if !slices.Contains(how.options, option) {
			return 0, blockErrorf("unknown option %q for %s", option, b.language)
		}
	}
	switch {
	case how.check == nil:
		return how.outcome, nil
	case b.language == "sh" && (c.noRun || b.has(optionNoRun)):
		return parsed, c.parseShell(ctx, p, b)
	case b.language == "nginx" && b.has(optionNoRun):
		return skipped, nil
	}
	return how.outcome, how.check(c, ctx, p, b)
}

func (b block) has(option string) bool { return slices.Contains(b.options, option) }

// write writes a block to a file whose line numbers are those of the page, so
// that an interpreter's messages point at the line to mend. The first line of
// the file is free for a header.
func (c *blockChecker) write(p page, b block, extension, header string, trailer ...string) (string, error) {
	name := filepath.Join(c.scratch, strings.ReplaceAll(p.path, "/", "_")+extension)
	text := header + strings.Repeat("\n", b.line) + b.text + strings.Join(trailer, "\n")
	return name, os.WriteFile(name, []byte(text), 0o600)
}

// lastLines is the end of a program's output, with the names of block files
// replaced by the page's.
func (c *blockChecker) lastLines(text string, p page, file string) string {
	const most = 20
	text = strings.ReplaceAll(strings.TrimSpace(text), file, path.Base(p.path))
	lines := strings.Split(text, "\n")
	if len(lines) > most {
		lines = append([]string{"[the last lines of its output]"}, lines[len(lines)-most:]...)
	}
	return "    " + strings.Join(lines, "\n    ")
}
