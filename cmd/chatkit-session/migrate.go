package main

import (
	"context"
	"errors"
	"fmt"

	"chatkit-session/adapters/postgres"
	"chatkit-session/adapters/sqlite"
	"chatkit-session/db"
)

type migrateCommand struct{}

// Run brings the schema up to date. It needs no setting but the database's.
func (migrateCommand) Run(p *process) error {
	variables, _, wrong := readEnviron(p.environ)
	var c config
	wrong.parse(&c.settings, variables)
	wrong.checkDatabase(&c)
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	kind, path, err := databaseKind(c.DatabaseURL)
	if err != nil {
		return err
	}
	if kind == sqliteDatabase {
		s, err := sqlite.Open(p.ctx, sqlite.Config{Path: path})
		if err != nil {
			return err
		}
		err = s.Close()
		p.upToDate(err)
		return err
	}
	err = migratePostgres(p.ctx, c)
	p.upToDate(err)
	return err
}

func (p *process) upToDate(err error) {
	if err == nil {
		_, _ = fmt.Fprintln(p.stdout, "the schema is up to date")
	}
}

// migratePostgres applies what is missing. Replicas may do so at once: they
// take turns.
func migratePostgres(ctx context.Context, c config) (err error) {
	url := c.DatabaseDirectURL
	if url == "" {
		url = c.DatabaseURL
	}
	conn, err := postgres.Connect(ctx, string(url))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	migrator, err := db.Postgres(conn)
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database (as a role that owns it, with DATABASE_DIRECT_URL or the migrate command): %w", err)
	}
	return nil
}
