package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chatkit-session/adapters/keyring"
	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/postgres/seed"
	"chatkit-session/core/session"
)

// seedCommand fills a database.
type seedCommand struct {
	Database string `required:"" placeholder:"URL" help:"URL of a database with an up-to-date schema, as its owner."`
	Keys     string `required:"" type:"existingdir" placeholder:"DIR" help:"Folder that chatkit-session dev --write-keys has written. Its token_keys encrypt the tokens."`
	Sessions int    `default:"1000000" help:"Number of sessions, including the six of each of --users, which is the minimum."`
	Users    int    `default:"1000" help:"Number of users to prepare for run."`
	Workflow string `default:"workflow_dev" help:"The service's CHATKIT_WORKFLOW_ID."`

	IOwnThisHost bool `name:"i-own-this-host" help:"Confirm that a database on another machine is yours."`
}

// mostSessions bounds --sessions: ten times the size that scale measures.
const mostSessions = 100_000_000

// Run fills the database and reports how fast.
func (s seedCommand) Run(p *process) error {
	if s.Sessions < 0 || s.Sessions > mostSessions || s.Users < 0 || s.Users > mostUsers {
		return fmt.Errorf("--sessions must be at most %d and --users at most %d", mostSessions, mostUsers)
	}
	if err := checkDatabase(s.Database, s.IOwnThisHost); err != nil {
		return err
	}
	plan, err := s.plan()
	if err != nil {
		return err
	}
	conn, err := postgres.Connect(p.ctx, postgres.Config{URL: s.Database})
	if err != nil {
		return err
	}
	start, show := time.Now(), newProgress(p.stderr)
	plan.Wrote = func(rows int) {
		show.say(fmt.Sprintf("%d rows, %.0f/s", rows, float64(rows)/time.Since(start).Seconds()))
	}
	rows, err := seed.Fill(p.ctx, conn, plan)
	show.end()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	took := time.Since(start)
	_, told := fmt.Fprintf(p.stdout, "%d sessions in %.1f s, %.0f rows/s\n", rows, took.Seconds(), float64(rows)/took.Seconds())
	return errors.Join(told, conn.Close())
}

func (s seedCommand) plan() (seed.Plan, error) {
	text, err := os.ReadFile(filepath.Join(s.Keys, "token_keys"))
	if err != nil {
		return seed.Plan{}, err
	}
	ring, err := keyring.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return seed.Plan{}, err
	}
	workflow, err := session.ParseWorkflowID(s.Workflow)
	if err != nil {
		return seed.Plan{}, err
	}
	plan := seed.Plan{Sessions: s.Sessions, Workflow: workflow, Sealer: ring, Now: time.Now().UTC().Truncate(time.Microsecond)}
	for i := range s.Users {
		user, err := session.ParseUserID(userName(measuredUsers, i))
		if err != nil {
			return seed.Plan{}, err
		}
		plan.Users = append(plan.Users, user)
	}
	return plan, nil
}
