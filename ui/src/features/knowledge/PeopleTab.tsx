import { Ban, CircleCheck, Trash2, UserPlus, X } from "lucide-react";
import { useState, type FormEvent } from "react";
import { Button, IconButton } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useAllKbs, useChange, useGroups, usePeople, type Change, type Group, type Person, type Role } from "./api";
import css from "./Enterprise.module.css";

const ROLES: readonly Role[] = ["reader", "editor", "admin"];

export function PeopleTab() {
  const change = useChange();
  const groups = useGroups();
  if (groups.error) return <ErrorPanel error={groups.error} />;
  if (!groups.data) return <Skeleton lines={5} />;
  return (
    <div className={css.column}>
      {change.error && <ErrorPanel error={change.error} />}
      <Groups groups={groups.data} onChange={change.mutate} />
      <People groups={groups.data} onChange={change.mutate} />
    </div>
  );
}

interface PartProps {
  groups: readonly Group[];
  onChange: (change: Change) => void;
}

function Groups({ groups, onChange }: PartProps) {
  const { t } = useI18n();
  const [name, setName] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    onChange({ method: "post", path: "/admin/groups", body: { name } });
    setName("");
  };
  return (
    <section>
      <h2>{t("know.groups")}</h2>
      <ul className={css.rows}>
        {groups.map((group) => (
          <li key={group.id}>
            <GroupRow group={group} onChange={onChange} />
          </li>
        ))}
      </ul>
      <form className={css.line} onSubmit={add}>
        <input
          className={controlClass}
          value={name}
          maxLength={60}
          required
          aria-label={t("know.groupName")}
          placeholder={t("know.groupName")}
          onChange={(event) => setName(event.target.value)}
        />
        <Button type="submit">{t("know.addGroup")}</Button>
      </form>
    </section>
  );
}

function GroupRow({ group, onChange }: { group: Group; onChange: PartProps["onChange"] }) {
  const { t } = useI18n();
  const kbs = useAllKbs();
  const [kb, setKb] = useState("");
  const [folder, setFolder] = useState("");
  const called = (id: string) => kbs.data?.find((one) => one.id === id)?.name ?? id;
  const grant = (event: FormEvent) => {
    event.preventDefault();
    onChange({ method: "post", path: `/admin/groups/${group.id}/leaves`, body: { kb_id: kb, folder } });
    setFolder("");
  };
  return (
    <div className={css.group}>
      <div className={css.line}>
        <strong>{group.name}</strong>
        <small>{group.members.join(", ")}</small>
        <IconButton
          small
          icon={Trash2}
          label={t("know.remove", { name: group.name })}
          onClick={() => onChange({ method: "delete", path: `/admin/groups/${group.id}` })}
        />
      </div>
      <div className={css.line}>
        <small>{t("know.mayRead")}</small>
        {group.leaves.map((leave) => {
          const name = `${called(leave.kb_id)}${leave.folder && `/${leave.folder}`}`;
          const path = `/admin/groups/${group.id}/leaves/${leave.kb_id}?folder=${encodeURIComponent(leave.folder)}`;
          return (
            <span key={name} className={css.leave}>
              {name}
              <IconButton
                small
                icon={X}
                label={t("know.revoke", { name })}
                onClick={() => onChange({ method: "delete", path })}
              />
            </span>
          );
        })}
      </div>
      <form className={css.line} onSubmit={grant}>
        <select
          className={controlClass}
          value={kb}
          required
          aria-label={t("know.kb")}
          onChange={(event) => setKb(event.target.value)}
        >
          <option value="">{t("know.kb")}</option>
          {kbs.data?.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
        <input
          className={controlClass}
          value={folder}
          aria-label={t("know.folder")}
          placeholder={t("know.folder")}
          onChange={(event) => setFolder(event.target.value)}
        />
        <Button small type="submit">
          {t("know.grant")}
        </Button>
      </form>
    </div>
  );
}

function People({ groups, onChange }: PartProps) {
  const { t } = useI18n();
  const people = usePeople();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("reader");
  const [group, setGroup] = useState("");
  const add = (event: FormEvent) => {
    event.preventDefault();
    const body = { name: name.trim(), password, role, groups: group ? [group] : [] };
    onChange({ method: "post", path: "/admin/people", body });
    setName("");
    setPassword("");
  };
  return (
    <section>
      <h2>{t("know.people")}</h2>
      {people.error && <ErrorPanel error={people.error} />}
      <ul className={css.rows}>
        {people.data?.map((one) => (
          <li key={one.id}>
            <span>
              {one.shown} {one.disabled && <small>{t("know.disabled")}</small>}
            </span>
            <PersonGroups person={one} groups={groups} onChange={onChange} />
            <select
              className={controlClass}
              value={one.role}
              aria-label={`${t("know.role")}: ${one.name}`}
              onChange={(event) =>
                onChange({ method: "patch", path: `/admin/people/${one.id}`, body: { role: event.target.value } })
              }
            >
              <Roles />
            </select>
            <IconButton
              small
              icon={one.disabled ? CircleCheck : Ban}
              label={t(one.disabled ? "know.enable" : "know.disable", { name: one.name })}
              onClick={() =>
                onChange({ method: "patch", path: `/admin/people/${one.id}`, body: { disabled: !one.disabled } })
              }
            />
            <IconButton
              small
              icon={Trash2}
              label={t("know.remove", { name: one.name })}
              onClick={() => onChange({ method: "delete", path: `/admin/people/${one.id}` })}
            />
          </li>
        ))}
      </ul>
      <form className={css.line} onSubmit={add}>
        <input
          className={controlClass}
          value={name}
          required
          aria-label={t("know.name")}
          placeholder={t("know.name")}
          onChange={(event) => setName(event.target.value)}
        />
        <input
          className={controlClass}
          type="password"
          value={password}
          required
          minLength={10}
          autoComplete="new-password"
          aria-label={t("know.password")}
          placeholder={t("know.password")}
          onChange={(event) => setPassword(event.target.value)}
        />
        <select
          className={controlClass}
          value={role}
          aria-label={t("know.role")}
          onChange={(event) => setRole(event.target.value as Role)}
        >
          <Roles />
        </select>
        <select
          className={controlClass}
          value={group}
          aria-label={t("know.groups")}
          onChange={(event) => setGroup(event.target.value)}
        >
          <option value="">{t("know.groups")}</option>
          {groups.map((one) => (
            <option key={one.id}>{one.name}</option>
          ))}
        </select>
        <Button icon={UserPlus} type="submit">
          {t("know.addPerson")}
        </Button>
      </form>
    </section>
  );
}

/** The groups of one person: each can be left, and another one joined. */
function PersonGroups({ person, groups, onChange }: PartProps & { person: Person }) {
  const { t } = useI18n();
  const set = (names: readonly string[]) =>
    onChange({ method: "patch", path: `/admin/people/${person.id}`, body: { groups: names } });
  const others = groups.filter(({ name }) => !person.groups.includes(name));
  return (
    <span className={css.line}>
      {person.groups.map((name) => (
        <span key={name} className={css.leave}>
          {name}
          <IconButton
            small
            icon={X}
            label={t("know.leaveGroup", { person: person.name, name })}
            onClick={() => set(person.groups.filter((one) => one !== name))}
          />
        </span>
      ))}
      {others.length > 0 && (
        <select
          className={controlClass}
          value=""
          aria-label={t("know.joinGroup", { person: person.name })}
          onChange={(event) => set([...person.groups, event.target.value])}
        >
          <option value="">{t("know.join")}</option>
          {others.map(({ id, name }) => (
            <option key={id}>{name}</option>
          ))}
        </select>
      )}
    </span>
  );
}

function Roles() {
  const { t } = useI18n();
  return ROLES.map((one) => (
    <option key={one} value={one}>
      {t(`know.role.${one}`)}
    </option>
  ));
}
