/**
 * The page on which people meet.
 * @module
 */
import { createApp } from 'vue';
import { MeetPage } from '../components/meet-page.js';
import { spaceOfPath } from '../lib/names.js';

createApp(MeetPage, { space: spaceOfPath(location.pathname) }).mount('#app');
