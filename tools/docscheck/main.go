// Command docscheck checks the documentation of a repository: its links, its
// fenced blocks, the length of README.md, and its wording. It runs the shell
// commands in the pages beside a chatkit-session dev that it starts.
//
// # Fenced blocks
//
// The first word after the fence is the language, the words after it are
// options:
//
//	sh             run by bash -euo pipefail, after eval "$(chatkit-session dev env)"
//	sh no-run      parsed by bash -n: what needs a server or takes long
//	sh any-status  run, and curl may get an HTTP error; otherwise that fails
//	js             parsed by node as a module
//	python         compiled by python3
//	json, yaml     parsed; one or more documents
//	nginx          tested by nginx -t
//	text, console  output, which is not checked
//
// The option no-run is allowed for every language. Blocks in any other language
// are skipped, but counted. The blocks of a page run in their order, in a copy
// of the repository that is new for each page: files last until the end of the
// page, variables and processes until the end of the block.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	found, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "docscheck:", err)
		os.Exit(2)
	case found > 0:
		fmt.Fprintf(os.Stderr, "docscheck: %d problems\n", found)
		os.Exit(1)
	}
}

//go:embed phrases.txt
var phraseList string

// problem is what is wrong at a line of a file.
type problem struct {
	file    string
	line    int
	message string
}

// options are the command line.
type options struct {
	root  string
	only  []string // pages whose blocks are checked; all if empty
	noRun bool
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("docscheck", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: docscheck [-no-run] ROOT [PAGE...]\n\nCheck the documentation of the repository at ROOT, but the blocks of the given pages only.")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.noRun, "no-run", false, "parse sh blocks instead of running them")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return o, errors.New("ROOT is required")
	}
	o.root, o.only = flags.Arg(0), flags.Args()[1:]
	return o, nil
}

// run checks the repository that args name. It prints a line for each page and
// then the problems, and returns their number.
func run(ctx context.Context, args []string, stdout io.Writer) (int, error) {
	o, err := parseOptions(args)
	if err != nil {
		return 0, err
	}
	repo, err := openRepository(ctx, o.root)
	if err != nil {
		return 0, err
	}
	pages, err := repo.pages()
	if err != nil {
		return 0, err
	}
	list, err := parsePhrases(phraseList)
	if err != nil {
		return 0, err
	}
	wording, err := checkPhrases(repo, list)
	if err != nil {
		return 0, err
	}
	inBlocks, err := checkBlocks(ctx, repo, pages, o, stdout)
	if err != nil {
		return 0, err
	}
	problems := slices.Concat(checkLength(pages), checkLinks(repo, pages), inBlocks, wording)
	for _, p := range problems {
		fmt.Fprintf(stdout, "%s:%d: %s\n", p.file, p.line, p.message)
	}
	return len(problems), nil
}

// maxReadmeLines keeps README.md to what a newcomer reads.
const maxReadmeLines = 180

func checkLength(pages []page) []problem {
	for _, p := range pages {
		if p.path == "README.md" && p.lines > maxReadmeLines {
			return []problem{{p.path, maxReadmeLines + 1, fmt.Sprintf("README.md has %d lines; %d are allowed: move details to docs/", p.lines, maxReadmeLines)}}
		}
	}
	return nil
}
